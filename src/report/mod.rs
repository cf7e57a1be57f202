//! How a run is shown: consumes events, writes through ui.
