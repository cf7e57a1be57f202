//! Streams, styles, formats. The only room that prints.
//!
//! Data (what a script would pipe) goes to stdout, everything else to stderr. Writing never fails
//! for the caller: a pipe that nobody reads any more ends the output quietly, and any other
//! failure to write data is answered once by [`Ui::finish`].

pub mod control;
pub mod format;
pub mod prompt;
pub mod screen;
pub mod workflow;
pub mod wrap;

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anstyle::{AnsiColor, Style};

use crate::error::{CommandError, ExitKind};
use crate::redact::Redactor;
use crate::terminal::control::{Colours, harmless};

/// What `--color` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// Colours where the stream is a terminal that wants them.
    #[default]
    Auto,
    /// Whether colours are written.
    Always,
    /// No colours.
    Never,
}

/// What the environment says on colours and characters. See [`UiEnv::read`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UiEnv {
    /// `NO_COLOR` is set and not empty (no-color.org).
    pub no_color: bool,
    /// `CLICOLOR_FORCE` is set and not `0`.
    pub force_color: bool,
    /// `TERM` is `dumb`: neither colours nor cursor movement.
    pub dumb: bool,
    /// The locale's characters are UTF-8.
    pub unicode: bool,
}

impl UiEnv {
    /// Reads `NO_COLOR`, `CLICOLOR_FORCE`, `TERM`, `LC_ALL`, `LC_CTYPE` and `LANG` through `var`.
    pub fn read(var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        Self {
            no_color: set("NO_COLOR").is_some(),
            force_color: set("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
            dumb: set("TERM").is_some_and(|value| value == "dumb"),
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    /// Whether a stream gets colours: `--color`, then `NO_COLOR`, then `CLICOLOR_FORCE`, then
    /// what the stream is.
    pub fn colours(&self, choice: ColorChoice, is_terminal: bool) -> Colours {
        let keep = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if self.no_color => false,
            ColorChoice::Auto => self.force_color || (is_terminal && !self.dumb),
        };
        if keep { Colours::Keep } else { Colours::Drop }
    }
}

/// Columns of a line that goes to a pipe or a file.
const UNLIMITED: usize = usize::MAX;

/// Columns and rows of a terminal that may change its size.
#[derive(Debug, Clone)]
pub enum Size {
    /// The terminal that stderr is, or stdout where only that is one.
    OfProcess,
    /// Given by the caller: columns, rows.
    Given(Arc<Mutex<(u16, u16)>>),
}

impl Size {
    fn get(&self) -> Option<(u16, u16)> {
        match self {
            Self::OfProcess => terminal_size::terminal_size_of(io::stderr())
                .or_else(|| terminal_size::terminal_size_of(io::stdout()))
                .map(|(w, h)| (w.0, h.0)),
            Self::Given(size) => Some(*lock(size)),
        }
    }
}

/// One stream.
pub struct Stream {
    /// Where it goes.
    pub to: Box<dyn Write + Send>,
    /// Whether it is a terminal.
    pub is_terminal: bool,
    /// Whether colours stay.
    pub colours: Colours,
    /// Why nothing is written any more.
    failed: Option<io::Error>,
}

impl Stream {
    /// A stream to `to`.
    pub fn new(to: Box<dyn Write + Send>, is_terminal: bool, colours: Colours) -> Self {
        Self { to, is_terminal, colours, failed: None }
    }

    fn write(&mut self, text: &str) {
        match self.colours {
            Colours::Keep => self.write_raw(text.as_bytes()),
            Colours::Drop => {
                let plain = anstream::adapter::strip_str(text).to_string();
                self.write_raw(plain.as_bytes());
            }
        }
    }

    fn write_raw(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            let written = self.to.write_all(bytes).and_then(|()| self.to.flush());
            self.failed = written.err();
        }
    }
}

/// The two streams and how to write on them. Clones share them.
#[derive(Clone)]
pub struct Ui {
    streams: Arc<(Mutex<Stream>, Mutex<Stream>)>,
    size: Size,
    unicode: bool,
    dumb: bool,
    /// Whether what is said is the data.
    says_on_stdout: bool,
    /// Set where GitHub Actions reads commands from the log.
    workflow_token: Arc<OnceLock<String>>,
    /// What must not be printed.
    redactor: Arc<Mutex<Redactor>>,
}

impl Ui {
    /// The process's streams. The only place that reads the environment variables of [`UiEnv`].
    pub fn from_env(choice: ColorChoice) -> Self {
        let env = UiEnv::read(|name| std::env::var(name).ok());
        let stream =
            |to, is_terminal| Stream::new(to, is_terminal, env.colours(choice, is_terminal));
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let (out_is_terminal, err_is_terminal) = (stdout.is_terminal(), stderr.is_terminal());
        Self::new(
            stream(Box::new(stdout), out_is_terminal),
            stream(Box::new(stderr), err_is_terminal),
            Size::OfProcess,
            &env,
        )
    }

    /// Other streams.
    pub fn new(stdout: Stream, stderr: Stream, size: Size, env: &UiEnv) -> Self {
        Self {
            streams: Arc::new((Mutex::new(stdout), Mutex::new(stderr))),
            size,
            unicode: env.unicode,
            dumb: env.dumb,
            says_on_stdout: false,
            workflow_token: Arc::default(),
            redactor: Arc::default(),
        }
    }

    fn stdout(&self) -> MutexGuard<'_, Stream> {
        lock(&self.streams.0)
    }

    /// Where what is said goes.
    fn stderr(&self) -> MutexGuard<'_, Stream> {
        if self.says_on_stdout { self.stdout() } else { lock(&self.streams.1) }
    }

    /// The same for a command whose data is what others say beside it: the log of a build.
    pub fn onto_stdout(&self) -> Self {
        Self { says_on_stdout: true, ..self.clone() }
    }

    /// From now on what `redactor` knows is not printed; credentials in URLs never are.
    pub fn hide(&self, redactor: Redactor) {
        *lock(&self.redactor) = redactor;
    }

    /// Writes data on stdout, without secrets; the caller ends its lines.
    pub fn data(&self, text: &str) {
        let text = self.without_secrets(text);
        self.stdout().write(&text);
    }

    /// Writes data on stdout as it is: for another program, which needs what is secret in it.
    pub fn data_as_it_is(&self, text: &str) {
        self.stdout().write(text);
    }

    fn without_secrets(&self, text: &str) -> String {
        let redactor = lock(&self.redactor).clone();
        redactor.text(text)
    }

    /// Standard output as a stream of bytes, for exports.
    pub fn stdout_stream(&self) -> Box<dyn Write + Send> {
        Box::new(io::stdout())
    }

    /// Writes a line (or several) on stderr. Styles are dropped where there are no colours.
    pub fn say(&self, text: &str) {
        let mut text = self.without_secrets(text);
        text.push('\n');
        if let Some(token) = self.workflow_token.get() {
            text = workflow::without_commands(text, token);
        }
        self.stderr().write(&text);
    }

    /// From now on nothing that is said is taken for a command by GitHub Actions, except for what
    /// [`workflow_command`](Self::workflow_command) writes. `token` ends a passage without
    /// commands: it must be one that no build can guess. The first one given stays.
    pub fn guard_workflow(&self, token: &str) {
        let _ = self.workflow_token.set(token.to_owned());
    }

    /// Writes a command for GitHub Actions on stderr.
    pub fn workflow_command(&self, command: &workflow::Command) {
        let command = self.without_secrets(&format!("{command}\n"));
        self.stderr().write_raw(command.as_bytes());
    }

    /// Writes bytes on stderr, untouched.
    pub(crate) fn say_raw(&self, bytes: &[u8]) {
        self.stderr().write_raw(bytes);
    }

    /// A remark of a sentence or two on stderr. Its lines are broken between words where stderr is a terminal.
    pub fn remark(&self, text: &str) {
        self.say(&self.wrapped(&self.foreign(&self.without_secrets(text)), ""));
    }

    /// `note: ...` on stderr.
    pub fn note(&self, text: &str) {
        self.remark(&format!("note: {text}"));
    }

    /// `warning: ...` on stderr.
    pub fn warn(&self, message: &str) {
        let Shades { warning, .. } = SHADES;
        let message = self.foreign(&self.without_secrets(message));
        self.say(&self.wrapped(&format!("{warning}warning:{warning:#} {message}"), ""));
    }

    /// An error with its causes and hints on stderr.
    pub fn error(&self, error: &CommandError) {
        // Before lines are cut: half a secret is one, too.
        let safe = |text: &String| self.foreign(self.without_secrets(text).trim_end());
        let Shades { error: red, hint: cyan, .. } = SHADES;
        let mut parts =
            vec![self.wrapped(&format!("{red}error:{red:#} {}", safe(&error.message)), "")];
        for cause in &error.causes {
            parts.push(self.wrapped(&format!("caused by: {}", safe(cause)), "  "));
        }
        for hint in &error.hints {
            parts.push(self.wrapped(&format!("{cyan}hint:{cyan:#} {}", safe(hint)), ""));
        }
        self.say(&parts.join("\n"));
    }

    fn wrapped(&self, text: &str, lead: &str) -> String {
        wrap::message(text, lead, self.said_columns())
    }

    /// Text from elsewhere (the engine, a step, a file) made fit for stderr: colours stay only
    /// where stderr has them, nothing else but text does.
    pub fn foreign(&self, text: &str) -> String {
        harmless(text, self.stderr().colours)
    }

    /// Whether stderr is a terminal that can be redrawn.
    pub fn is_terminal(&self) -> bool {
        self.stderr().is_terminal && !self.dumb
    }

    /// Whether characters beyond ASCII can be shown.
    pub fn unicode(&self) -> bool {
        self.unicode
    }

    /// Columns and rows of the terminal now; 80 by 24 where they are not known.
    pub fn size(&self) -> (usize, usize) {
        match self.size.get() {
            Some((columns, rows)) if columns > 0 && rows > 0 => (columns.into(), rows.into()),
            _ => (80, 24),
        }
    }

    /// Whether somebody looks at stdout.
    pub fn shows_data(&self) -> bool {
        self.stdout().is_terminal
    }

    /// Columns that a line of [`Self::data`] may take: only a terminal has a width.
    pub fn data_columns(&self) -> usize {
        if self.stdout().is_terminal { self.size().0 } else { UNLIMITED }
    }

    /// Columns that a line of [`Self::say`] may take: only a terminal has a width.
    pub fn said_columns(&self) -> usize {
        if self.stderr().is_terminal { self.size().0 } else { UNLIMITED }
    }

    /// To be called at the end. A closed stdout is not an error: its reader has enough.
    ///
    /// # Errors
    ///
    /// Data could not be written for another reason, such as a full disk.
    pub fn finish(&self) -> Result<(), CommandError> {
        let mut stdout = self.stdout();
        stdout.write_raw(b"");
        match &stdout.failed {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(CommandError::new(ExitKind::Failed, "failed to write to standard output")
                    .caused_by(io::Error::new(error.kind(), error.to_string())))
            }
            _ => Ok(()),
        }
    }
}

/// A panic while writing leaves a stream as usable as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The styles in use. Meaning never hangs on colour alone.
#[derive(Debug, Clone, Copy)]
pub struct Shades {
    /// Errors.
    pub error: Style,
    /// Warnings.
    pub warning: Style,
    /// Hints.
    pub hint: Style,
    /// What went well.
    pub good: Style,
    /// What can be skipped while reading.
    pub faint: Style,
    /// Names and headers.
    pub bold: Style,
}

/// The styles in use.
pub const SHADES: Shades = Shades {
    error: AnsiColor::Red.on_default().bold(),
    warning: AnsiColor::Yellow.on_default().bold(),
    hint: AnsiColor::Cyan.on_default(),
    good: AnsiColor::Green.on_default(),
    faint: Style::new().dimmed(),
    bold: Style::new().bold(),
};

#[cfg(test)]
pub(crate) mod testing {
    //! Streams whose content tests can read.

    use super::*;

    /// A stream that remembers what was written.
    #[derive(Clone, Default)]
    pub(crate) struct Capture(Arc<Mutex<Vec<u8>>>);

    impl Capture {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(lock(&self.0).clone()).expect("only text is written")
        }
    }

    impl Write for Capture {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A terminal of so many columns, without colours: a Ui and its stderr.
    pub(crate) fn on_terminal(columns: u16) -> (Ui, Capture) {
        let err = Capture::default();
        let stream = |terminal| Stream::new(Box::new(err.clone()), terminal, Colours::Drop);
        let size = Size::Given(Arc::new(Mutex::new((columns, 10))));
        let env = UiEnv { unicode: true, ..UiEnv::default() };
        (Ui::new(stream(false), stream(true), size, &env), err)
    }

    /// Streams that are not terminals: a Ui, its stdout and its stderr.
    pub(crate) fn piped(colours: Colours) -> (Ui, Capture, Capture) {
        let (out, err) = (Capture::default(), Capture::default());
        let stream = |to: &Capture| Stream::new(Box::new(to.clone()), false, colours);
        let size = Size::Given(Arc::new(Mutex::new((80, 24))));
        let env = UiEnv { unicode: true, ..UiEnv::default() };
        (Ui::new(stream(&out), stream(&err), size, &env), out, err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_has_a_width() {
        for (out, err) in [(true, false), (false, true), (false, false)] {
            let stream = |is| Stream::new(Box::new(io::sink()), is, Colours::Drop);
            let size = Size::Given(Arc::new(Mutex::new((60, 10))));
            let ui = Ui::new(stream(out), stream(err), size, &UiEnv::default());
            let width = |is: bool| if is { 60 } else { usize::MAX };
            assert_eq!((ui.data_columns(), ui.said_columns()), (width(out), width(err)));
        }
    }

    #[test]
    fn colours_follow_the_option_then_the_environment_then_the_stream() {
        let env = |pairs: &'static [(&str, &str)]| {
            UiEnv::read(|name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let keeps = |env: UiEnv, choice, terminal| env.colours(choice, terminal) == Colours::Keep;
        use ColorChoice::{Always, Auto, Never};
        assert!(keeps(env(&[]), Auto, true));
        assert!(!keeps(env(&[]), Auto, false));
        assert!(!keeps(env(&[("NO_COLOR", "1")]), Auto, true));
        assert!(keeps(env(&[("NO_COLOR", "")]), Auto, true));
        assert!(!keeps(env(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]), Auto, true));
        assert!(keeps(env(&[("CLICOLOR_FORCE", "1")]), Auto, false));
        assert!(!keeps(env(&[("CLICOLOR_FORCE", "0")]), Auto, false));
        assert!(!keeps(env(&[("TERM", "dumb")]), Auto, true));
        assert!(keeps(env(&[("NO_COLOR", "1")]), Always, false));
        assert!(!keeps(env(&[("CLICOLOR_FORCE", "1")]), Never, true));
    }

    #[test]
    fn the_first_locale_variable_decides_on_characters() {
        let unicode = |all: &str, lang: &str| {
            UiEnv::read(|name| match name {
                "LC_ALL" => Some(all.to_owned()),
                "LANG" => Some(lang.to_owned()),
                _ => None,
            })
            .unicode
        };
        assert!(unicode("", "en_US.UTF-8"));
        assert!(unicode("C.utf8", "C"));
        assert!(!unicode("C", "en_US.UTF-8"));
    }

    #[test]
    fn errors_show_causes_and_hints_and_no_control_characters() {
        let (ui, out, err) = testing::piped(Colours::Drop);
        let mut error = CommandError::new(ExitKind::Failed, "failed to build api\x1b[2J\n")
            .hint("free some space");
        error.causes.push("no space left".to_owned());
        ui.error(&error);
        ui.warn("the base is old");
        insta::assert_snapshot!(err.text(), @r"
        error: failed to build api
          caused by: no space left
        hint: free some space
        warning: the base is old
        ");
        assert_eq!(out.text(), "");
    }

    #[test]
    fn on_a_terminal_an_excerpt_is_cut_at_the_edge_and_sentences_are_broken_between_words() {
        let (ui, err) = testing::on_terminal(24);
        let message = "failed to build a: it ended with exit code 3\n --> /srv/doc2md/Dockerfile.worker:12\n   |\n12 | RUN pip install everything\n   | ^^^^^^^^^^^^^^^^^^^^^^^^^^";
        ui.error(&CommandError::new(ExitKind::Failed, message));
        insta::assert_snapshot!(err.text(), @r"
        error: failed to build
          a: it ended with exit
          code 3
         --> /srv/doc2md/Dockerfile.worker:12
           |
        12 | RUN pip install...
           | ^^^^^^^^^^^^^^^^^^^
        ");
    }

    #[test]
    fn causes_hints_warnings_and_notes_are_broken_on_a_terminal_alone() {
        let mut error = CommandError::new(ExitKind::Failed, "failed to build 2 of 3 targets")
            .hint("run `doc2md-docker build --no-cache api` once more");
        error
            .causes
            .push("api: no route to the registry\nhint: check the network first".to_owned());
        let say = |ui: &Ui| {
            ui.error(&error);
            ui.warn("the base of this image is old\nand so is the engine of this host");
            ui.note("nothing of it is kept anywhere");
            ui.remark("removed 12 images, freed 3.1 GB");
        };
        let (ui, err) = testing::on_terminal(26);
        say(&ui);
        insta::assert_snapshot!(err.text(), @r"
        error: failed to build
          2 of 3 targets
          caused by: api: no route
            to the registry
        hint: check the network
          first
        hint: run
          `doc2md-docker build --no-cache api`
          once more
        warning: the base of this
          image is old
        and so is the engine of
          this host
        note: nothing of it is
          kept anywhere
        removed 12 images, freed
          3.1 GB
        ");
        let (ui, _, err) = testing::piped(Colours::Drop);
        say(&ui);
        insta::assert_snapshot!(err.text(), @r"
        error: failed to build 2 of 3 targets
          caused by: api: no route to the registry
        hint: check the network first
        hint: run `doc2md-docker build --no-cache api` once more
        warning: the base of this image is old
        and so is the engine of this host
        note: nothing of it is kept anywhere
        removed 12 images, freed 3.1 GB
        ");
    }

    #[test]
    fn colours_are_written_only_where_wanted() {
        let (ui, _, err) = testing::piped(Colours::Keep);
        ui.warn("\x1b[32mgreen");
        assert_eq!(err.text(), "\x1b[1m\x1b[33mwarning:\x1b[0m \x1b[32mgreen\x1b[0m\n");
    }

    struct Fails(io::ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_broken_pipe_is_quiet_and_a_full_disk_is_not() {
        for (kind, is_ok) in
            [(io::ErrorKind::BrokenPipe, true), (io::ErrorKind::StorageFull, false)]
        {
            let stdout = Stream::new(Box::new(Fails(kind)), false, Colours::Drop);
            let stderr = Stream::new(Box::new(Fails(kind)), false, Colours::Drop);
            let ui = Ui::new(stdout, stderr, Size::OfProcess, &UiEnv::default());
            ui.data("sha256:1\n");
            ui.say("done");
            assert_eq!(ui.finish().is_ok(), is_ok);
        }
    }
}
