//! One file per subcommand: arguments to settings to service to report.
