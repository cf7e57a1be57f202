//! Streams, styles, formats. The only room that prints.
