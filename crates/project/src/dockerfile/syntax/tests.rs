//! Parts of Dockerfiles that others write.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;

fn syntax(text: &str) -> Syntax {
    Syntax::new(text, &BTreeMap::new())
}

/// Keyword, first and last line, and the commands of a RUN or the words of anything else.
fn told(text: &str) -> Vec<(String, usize, usize, Vec<String>)> {
    let values =
        |words: &[Word]| words.iter().map(|word| word.value.clone()).collect::<Vec<_>>().join(" ");
    let parsed = syntax(text);
    let told = |it: &Instruction| {
        let parts = match &it.body {
            Body::Words(words) => words.iter().map(|word| word.value.clone()).collect(),
            Body::Script(commands) => commands.iter().map(|it| values(&it.words)).collect(),
        };
        (it.keyword.clone(), it.line, it.last_line, parts)
    };
    parsed.instructions.iter().map(told).collect()
}

fn commands(text: &str) -> Vec<String> {
    told(text).remove(0).3
}

#[test]
fn lines_are_joined_as_buildkit_does() {
    let text = "# c\r\nfrom a \\\r\n  as b\r\n\r\nRUN x \\\n  # comment\n\n  y && \\ \n z\nCOPY [\"a b\", \"c\\\"d\", \"/x\"]\n";
    let found = told(text);
    let brief: Vec<_> =
        found.iter().map(|(keyword, first, last, _)| (keyword.as_str(), *first, *last)).collect();
    assert_eq!(brief, [("FROM", 2, 3), ("RUN", 5, 9), ("COPY", 10, 10)]);
    assert_eq!(found[0].3, ["a", "as", "b"]);
    assert_eq!(found[1].3, ["x y", "z"]);
    assert_eq!(found[2].3, ["a b", "c\"d", "/x"]);
}

#[test]
fn here_documents_are_scripts_of_shells_alone() {
    let text = "RUN <<-\"E\" \n\ta 1 # no\n\tif b; then c; fi\n\tE\nRUN python3 <<P\nRUN pip\nP\nRUN bash -e <<S\nd \\\n e\nS\n\
                COPY <<F <<G /x/\nRUN f\nF\nRUN g\nG\nRUN cat <<X\nFROM y";
    let found = told(text);
    let brief: Vec<_> =
        found.iter().map(|(keyword, first, last, _)| (keyword.as_str(), *first, *last)).collect();
    assert_eq!(
        brief,
        [("RUN", 1, 4), ("RUN", 5, 7), ("RUN", 8, 11), ("COPY", 12, 16), ("RUN", 17, 18)]
    );
    assert_eq!(found[0].3, ["a 1", "b", "c"]);
    assert_eq!(found[1].3, ["python3 <<P"]);
    assert_eq!(found[2].3, ["d e"]);
}

#[test]
fn here_documents_begin_where_buildkit_says() {
    for (line, body) in [
        ("RUN cat <<E > /x && true", "RUN no\nE\n"),
        ("RUN a <<E <<-F | b", "RUN no\nE\n\tF\n"),
        ("RUN a \\\n  3<<'E F' b", "RUN no\nE F\n"),
        ("RUN a <<\\E", "RUN no\nE\n"),
        ("RUN --network=none x $(cat <<E)", "RUN no\nE)\n"),
        ("ONBUILD RUN <<E", "RUN no\nE\n"),
        ("add <<E /x", "RUN no\nE\n"),
        ("COPY a <<E <<F /x/", "RUN no\nE\nRUN no\nF\n"),
        ("RUN echo $((1 <<  2))", "RUN no\n2))\n"),
        ("RUN a << E b << 'F G'", "RUN no\nE\nRUN no\nF G\n"),
        // None of these begins one.
        ("RUN echo \"a <<E\" 'b <<E'", ""),
        ("RUN [\"echo\", \"<<E\"]", ""),
        ("RUN a<<E", ""),
        ("RUN a <<<E", ""),
        ("RUN echo $((1<<2))", ""),
        ("RUN a <<- E", ""),
        ("RUN a <<", ""),
        ("RUN it's <<E", ""),
        ("ENV A=<<E", ""),
        ("COPY [\"<<E\", \"/x\"]", ""),
    ] {
        let found = told(&format!("FROM x\n{line}\n{body}WORKDIR /after\n"));
        let keywords: Vec<&str> = found.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(keywords.len(), 3, "{line}: {keywords:?}");
        assert_eq!(keywords[2], "WORKDIR", "{line}");
    }
}

#[test]
fn commands_are_what_a_shell_sees() {
    assert_eq!(
        commands(
            "RUN --mount=type=cache,target=/c A=1 pip install 'a b' \"c;d\" e\\ f 2>&1 | tee x & (cd y; z) # q && r"
        ),
        ["pip install a b c;d e f 2>&1", "tee x", "cd y", "z"]
    );
    assert_eq!(commands("RUN x $(pip install y; z) `w`"), ["x $(pip install y; z) `w`"]);
    assert_eq!(commands("RUN sh -c 'pip install x && y'"), ["pip install x", "y"]);
    assert_eq!(commands("RUN [\"bash\", \"-lc\", \"pip install x\"]"), ["pip install x"]);
    assert_eq!(commands("RUN [\"pip\", \"install\"]"), ["pip install"]);
    assert_eq!(commands("RUN [ -f x ] && y"), ["[ -f x ]", "y"]);
    let parsed = syntax("RUN A=1 sudo -E x\nRUN /usr/bin/pip3 install x");
    let programs: Vec<&str> =
        parsed.instructions.iter().map(|it| it.commands()[0].program()).collect();
    assert_eq!(programs, ["x", "pip3"]);
}

#[test]
fn every_word_stands_where_it_says() {
    let text = "FROM é\nRUN ü 'a b' && \\\n  \"c\"d \\\n  é";
    let parsed = syntax(text);
    let commands = parsed.instructions[1].commands();
    let spans: Vec<&str> =
        commands.iter().flat_map(|it| &it.words).map(|word| &text[word.span.clone()]).collect();
    assert_eq!(spans, ["ü", "'a b'", "\"c\"d", "é"]);
    assert_eq!(parsed.place(commands[1].words[1].span.start), (4, 3));
    assert_eq!(parsed.place(0), (1, 1));
    let flags = syntax("RUN --mount=type=cache,sharing=shared,target=/x y");
    let flag = &flags.instructions[0].flags[0];
    assert_eq!(&flags.text()[flag.part("sharing=shared").unwrap()], "sharing=shared");
}

#[test]
fn settings_have_names_and_values() {
    let text = "ARG A B=\"x y\"\nENV C=1 D='e f'\nENV G some value\nENV H=$B\nRUN I=1";
    let parsed = syntax(text);
    let all: Vec<(String, Option<String>)> = parsed
        .instructions
        .iter()
        .flat_map(Instruction::settings)
        .map(|(name, value, _)| (name, value))
        .collect();
    let value = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    assert_eq!(
        all,
        [
            ("A".to_owned(), None),
            value("B", "x y"),
            value("C", "1"),
            value("D", "e f"),
            value("G", "some value"),
            value("H", "$B"),
        ]
    );
    assert_eq!(parsed.expand("${H}"), "x y");
}

#[test]
fn stages_stand_on_each_other() {
    let text = "ARG V=1\nFROM a:$V AS One\nRUN x\nFROM one\nONBUILD COPY . .\nCOPY --from=0 x y\nFROM b AS two\n\
                RUN --mount=type=bind,from=three,source=s,target=/t z\nFROM c AS three\nFROM two\n";
    let parsed = syntax(text);
    assert_eq!(parsed.stages[0].image, "a:1");
    assert_eq!(parsed.chain(1), [0, 1]);
    assert_eq!(parsed.needed(1).into_iter().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(parsed.needed(4).into_iter().collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(
        (parsed.stage(Some("TWO")), parsed.stage(Some("3")), parsed.stage(None)),
        (Some(2), Some(3), Some(4))
    );
    let keywords: Vec<&str> = parsed
        .steps(1)
        .into_iter()
        .map(|step| parsed.instructions[step].keyword.as_str())
        .collect();
    assert_eq!(keywords, ["RUN", "COPY"], "what ONBUILD says runs elsewhere");
    let run =
        parsed.instructions.iter().find(|it| !it.flags.is_empty() && it.keyword == "RUN").unwrap();
    assert_eq!(parsed.binds(run), [(Some("three".into()), "s".into(), "/t".into())]);
}
