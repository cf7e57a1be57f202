//! Examples and exit codes of every command, for its help.

/// What the help of a command says besides its options.
pub(super) struct Page {
    /// The command, with its parents: `history show`.
    pub(super) command: &'static str,
    /// Command lines that somebody would type, without the program's name, and what they do.
    pub(super) examples: &'static [(&'static str, &'static str)],
    /// The exit codes it can have besides 0, 2 and 130.
    pub(super) codes: &'static [u8],
}

/// Every command has one; a test says which is missing, and reads every example as a command line.
pub(super) const PAGES: &[Page] = &[
    Page {
        command: "init",
        examples: &[
            ("init --dry-run", "show what would be written"),
            ("init --api app.main:app", "name the app where it is not found"),
            ("init --example demo", "a small Doc2MD in a new folder"),
        ],
        codes: &[1],
    },
    Page {
        command: "context",
        examples: &[
            ("context ls", "what each build sends, the largest paths first"),
            ("context explain .git", "which pattern decides, and who reads it"),
        ],
        codes: &[5],
    },
    Page {
        command: "context ls",
        examples: &[
            ("context ls", "what each build sends, by path"),
            ("context ls -d 2 worker", "one service, two levels deep"),
        ],
        codes: &[5],
    },
    Page {
        command: "context explain",
        examples: &[("context explain models/big.bin", "why it is sent, or not")],
        codes: &[5],
    },
    Page {
        command: "check",
        examples: &[
            ("check", "what costs builds of this project time or disk"),
            ("check --fix --dry-run", "the changes that are safe, as a diff"),
            (
                "check --severity error --format github",
                "in CI: annotations, exit code 4 for errors only",
            ),
            ("check --format sarif worker > check.sarif", "one service, for code scanning"),
        ],
        codes: &[1, 4, 5],
    },
    Page {
        command: "cache",
        examples: &[
            ("cache save --to cache", "what the mounts hold, into a folder"),
            ("cache restore --from cache", "and back, on an engine that has nothing"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache ls",
        examples: &[("cache ls worker", "the mounts of one service, and what they hold")],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache save",
        examples: &[
            ("cache save --to type=local,dest=cache", "all mounts of the project"),
            ("cache save --to cache --max-size 2GB worker", "without what nothing uses any more"),
            ("cache save --to cache --rate 30MB --never '*uv'", "what is worth it on a slow way"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache restore",
        examples: &[
            ("cache restore --from type=local,src=cache", "mounts that hold nothing yet"),
            ("cache restore --from cache --merge", "keep what they hold, add the rest"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache keep",
        examples: &[("cache keep", "from a timer, such as cron's: once a day is enough")],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache rm",
        examples: &[
            ("cache rm /root/.cache/pip", "one mount, after a question"),
            ("cache rm --dry-run go-build go-mod", "what would go, and who else uses it"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache export",
        examples: &[
            ("cache export /root/.cache/pip -o pip.tar.zst", "what the mount holds, as a file"),
            ("cache export go-build -o go.tar", "not compressed, as the name says"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "cache import",
        examples: &[
            ("cache import /root/.cache/pip pip.tar.zst", "a mount that holds nothing yet"),
            ("cache import --merge go-build build.tar", "add to what it holds"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "build",
        examples: &[
            ("build", "every service with a build section"),
            ("build --with-dependencies worker", "one service and what it depends on"),
            ("build --no-cache-filter deps --pull", "some stages again, on the newest bases"),
            ("build --set worker.args.TORCH=cpu", "another value for one target"),
            ("build --set api.output=type=local,dest=out api", "files instead of an image"),
            (
                "build --cache-to type=local,dest=cache,mode=max",
                "keep the cache in a directory; --cache-from type=local,src=cache reads it",
            ),
            (
                "build --caches registry.example.com/cache",
                "a layer cache for each target and branch; in CI it is written, too",
            ),
            ("build --timeline build.html", "a page that shows what took the time"),
            ("build --dry-run", "what would run now, and why"),
        ],
        codes: &[1, 3, 4, 5],
    },
    Page {
        command: "dev",
        examples: &[
            ("dev -d", "build, start, and come back to the shell"),
            ("dev logs -f api", "follow what a service says"),
            ("dev exec api sh", "a shell in a running container"),
            ("dev down -v", "stop it, and remove its volumes"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "dev up",
        examples: &[
            ("dev up -d api", "one service and what it depends on"),
            ("dev up -- --force-recreate", "an option of docker compose up"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "lock",
        examples: &[
            ("lock", "pin what is new, keep what is locked"),
            ("lock --check", "in CI: exit code 4 where a lock does not fit"),
            ("lock --upgrade-package torch --torch cpu", "one package newer, built for CPUs"),
        ],
        codes: &[1, 3, 4, 5],
    },
    Page {
        command: "config",
        examples: &[
            ("config", "the whole project, as a compose file"),
            ("config --services", "the names of its services"),
            ("config --settings", "defaults of commands, and where each comes from"),
            ("config -q", "only check the files"),
        ],
        codes: &[5],
    },
    Page {
        command: "why",
        examples: &[
            ("why", "the last build"),
            ("why worker --build latest~1", "one service of the build before"),
            ("why --next", "what would run now"),
            ("why --build pgx9xg0mz1", "a build of another client, by the engine's history"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "history",
        examples: &[
            ("history", "the last 20 builds"),
            ("history show", "the steps of the last one"),
            ("history compare", "the last two, side by side"),
        ],
        codes: &[1, 5],
    },
    Page {
        command: "history ls",
        examples: &[
            ("history ls -n 5", "the last five"),
            ("history ls --engine", "of any client, as the engine remembers them"),
            ("history ls --format json", "for scripts"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "history show",
        examples: &[
            ("history show latest~1", "the build before the last"),
            ("history show --timeline build.html", "draw it as a page"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "history compare",
        examples: &[
            ("history compare", "the last two builds"),
            ("history compare latest~5 latest", "any two"),
        ],
        codes: &[1, 5],
    },
    Page {
        command: "history logs",
        examples: &[
            ("history logs", "what the steps of the last build said"),
            ("history logs latest~1 worker", "of one service, one build before"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "history rm",
        examples: &[
            ("history rm latest", "forget the last build"),
            ("history rm --all", "forget all of them"),
        ],
        codes: &[1, 5],
    },
    Page {
        command: "bench",
        examples: &[
            ("bench", "first, unchanged, code, requirement; three runs each"),
            ("bench --case code --code api/main.py --runs 5", "one case, one file"),
            ("bench --against ../other --format markdown", "two projects, for a page"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "builders",
        examples: &[
            ("builders", "all of them"),
            ("builders inspect", "the one a build would go to"),
        ],
        codes: &[3],
    },
    Page {
        command: "builders ls",
        examples: &[("builders ls --format json", "for scripts")],
        codes: &[3],
    },
    Page {
        command: "builders inspect",
        examples: &[("builders inspect big", "one by its name")],
        codes: &[3],
    },
    Page {
        command: "doctor",
        examples: &[
            ("doctor", "what is wrong, and what to do"),
            ("doctor --bundle report.json", "the same for a report"),
        ],
        codes: &[1, 3],
    },
    Page {
        command: "ls",
        examples: &[
            ("ls", "name, size, what runs, last build, directory"),
            ("ls --format json", "for scripts"),
        ],
        codes: &[1, 3],
    },
    Page {
        command: "stats",
        examples: &[
            ("stats", "images, containers, volumes, build cache"),
            ("stats -v", "every layer and cache record, too"),
            ("stats --html sizes.html", "a page of what takes the disk"),
            ("stats --budget api=300MB --max-growth 10%", "in CI: exit code 4 when an image grows"),
            ("stats -p NAME", "a project whose files are gone"),
            ("stats --builder NAME", "the build cache of a builder"),
            ("stats --format prometheus", "for a textfile collector"),
        ],
        codes: &[1, 3, 4, 5],
    },
    Page {
        command: "clean",
        examples: &[
            ("clean --dry-run", "show what would go, and what stays and why"),
            ("clean --old", "what earlier builds left; what is current stays cached"),
            ("clean --volumes=false", "everything but the volumes"),
            ("clean --only cache", "the project's build cache alone"),
            ("clean --max-used-space 5GB", "its least recently used cache above 5 GB"),
            ("clean --cache --builder NAME --dry-run", "what would go of a builder's cache"),
            ("clean -p NAME", "a project whose files are gone"),
        ],
        codes: &[1, 3, 5],
    },
    Page {
        command: "completions",
        examples: &[("completions bash", "the script for bash; see above where it goes")],
        codes: &[1],
    },
    Page {
        command: "man",
        examples: &[
            ("man build", "the page of one command; `| man -l -` shows it"),
            ("man --output ~/.local/share/man/man1", "all pages, where `man` finds them"),
        ],
        codes: &[1],
    },
    Page {
        command: "plugin",
        examples: &[("plugin install", "from then on: docker doc2md build")],
        codes: &[1],
    },
    Page {
        command: "plugin install",
        examples: &[("plugin install --force", "replace what has the name there")],
        codes: &[1],
    },
    Page {
        command: "plugin remove",
        examples: &[("plugin remove", "docker no longer knows it")],
        codes: &[1],
    },
];
