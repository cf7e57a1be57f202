//! YAML text to documents of [`Node`]s: anchors, aliases, merge keys, duplicate keys, and the
//! `!reset` and `!override` tags. Expansion of aliases and depth are bounded.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use indexmap::IndexMap;

use super::error::{ComposeError, Place};
use super::node::{Map, Node, Value};
use super::scalar::resolve_plain;

/// Nodes all aliases of a document may add together; compose's own bound on visited nodes.
const MAX_ALIASED_NODES: usize = 100_000;
/// Bytes of text that all aliases of a document may add together: few long values are as much as many.
const MAX_ALIASED_BYTES: usize = 64 << 20;
/// Depth of nesting after aliases are expanded.
const MAX_DEPTH: usize = 200;

/// One YAML document.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) root: Node,
    /// Paths that `!reset` and `!override` clear in what was loaded before.
    pub(super) cleared: Vec<Vec<String>>,
}

/// Reads all documents of `text`; `file` is its name in places.
pub(super) fn parse(text: &str, file: &Arc<str>) -> Result<Vec<Document>, ComposeError> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        file: Arc::clone(file),
        anchors: HashMap::new(),
        aliased: 0,
        aliased_bytes: 0,
    };
    let mut documents = Vec::new();
    while let Some((event, _)) = builder.next()? {
        if let Event::DocumentStart(..) = event {
            builder.anchors.clear();
            builder.aliased = 0;
            builder.aliased_bytes = 0;
            let (event, span) = builder.expect()?;
            let raw = builder.node(event, span)?;
            let mut cleared = Vec::new();
            if let Some(root) = finish(raw, &mut Vec::new(), &mut cleared, true)? {
                documents.push(Document { root, cleared });
            }
        }
    }
    Ok(documents)
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    None,
    Reset,
    Override,
}

/// A node before `!reset` and `<<` are applied.
#[derive(Clone)]
struct Raw {
    content: Content,
    place: Place,
    mark: Mark,
    size: usize,
    /// Of its text and keys.
    bytes: usize,
    depth: usize,
}

#[derive(Clone)]
enum Content {
    Scalar(Value),
    List(Vec<Raw>),
    Map(Vec<(Key, Raw)>),
}

#[derive(Clone)]
struct Key {
    text: String,
    place: Place,
    merge: bool,
}

struct Builder<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    file: Arc<str>,
    /// Completed anchored nodes by id.
    anchors: HashMap<usize, Raw>,
    aliased: usize,
    aliased_bytes: usize,
}

impl<'a> Builder<'a> {
    fn place(&self, span: &Span) -> Place {
        place_of(&self.file, &span.start)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, ComposeError> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(item)) => Ok(Some(item)),
            Some(Err(error)) => {
                let place = place_of(&self.file, error.marker());
                Err(ComposeError::at(&place, format!("invalid YAML: {}", error.info())))
            }
        }
    }

    fn expect(&mut self) -> Result<(Event<'a>, Span), ComposeError> {
        self.next()?.ok_or_else(|| {
            ComposeError::at(&Place::start(&self.file), "invalid YAML: unexpected end of file")
        })
    }

    /// The node that begins with `event`. Nesting takes memory and no stack: a thread has little of that.
    fn node(&mut self, mut event: Event<'a>, mut span: Span) -> Result<Raw, ComposeError> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let place = self.place(&span);
            let is_end = matches!(event, Event::SequenceEnd | Event::MappingEnd);
            if open.len() > MAX_DEPTH && !is_end {
                return Err(ComposeError::at(&place, "values are nested too deeply"));
            }
            let mergeable = is_mergeable(&event);
            let (ended, anchor) = match event {
                Event::Alias(id) => (Some(self.alias(id, &place, open.len())?), 0),
                Event::Scalar(text, style, anchor, tag) => {
                    let (value, mark) = scalar(&text, style, tag.as_deref(), &place)?;
                    let content = Content::Scalar(value);
                    let raw = Raw { content, place, mark, size: 1, bytes: text.len(), depth: 1 };
                    (Some(raw), anchor)
                }
                Event::SequenceStart(.., anchor, tag) => {
                    let mark = mark_of(tag.as_deref());
                    open.push(Open::new(Content::List(Vec::new()), place, mark, anchor));
                    (None, 0)
                }
                Event::MappingStart(.., anchor, tag) => {
                    let mark = mark_of(tag.as_deref());
                    open.push(Open::new(Content::Map(Vec::new()), place, mark, anchor));
                    (None, 0)
                }
                _ => match open.pop().filter(|_| is_end) {
                    Some(open) => (Some(open.raw), open.anchor),
                    None => {
                        return Err(ComposeError::at(&place, "invalid YAML: a value is missing"));
                    }
                },
            };
            if let Some(raw) = ended {
                if anchor != 0 {
                    self.anchors.insert(anchor, raw.clone());
                }
                match open.last_mut() {
                    Some(parent) => parent.add(raw, mergeable)?,
                    None => return Ok(raw),
                }
            }
            (event, span) = self.expect()?;
        }
    }

    fn alias(&mut self, id: usize, place: &Place, level: usize) -> Result<Raw, ComposeError> {
        let Some(target) = self.anchors.get(&id) else {
            return Err(ComposeError::at(place, "this alias stands inside its own anchor"));
        };
        self.aliased += target.size;
        if self.aliased > MAX_ALIASED_NODES {
            let message = format!("aliases expand to more than {MAX_ALIASED_NODES} values");
            return Err(ComposeError::at(place, message));
        }
        self.aliased_bytes += target.bytes;
        if self.aliased_bytes > MAX_ALIASED_BYTES {
            let limit = MAX_ALIASED_BYTES >> 20;
            let message = format!("aliases expand to more than {limit} MiB");
            return Err(ComposeError::at(place, message));
        }
        if level + target.depth > MAX_DEPTH {
            return Err(ComposeError::at(place, "values are nested too deeply"));
        }
        Ok(target.clone())
    }
}

/// A list or mapping whose end has not come.
struct Open {
    raw: Raw,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<Key>,
    /// Where the keys so far stand.
    seen: HashMap<String, Place>,
}

impl Open {
    fn new(content: Content, place: Place, mark: Mark, anchor: usize) -> Self {
        let raw = Raw { content, place, mark, size: 1, bytes: 0, depth: 1 };
        Self { raw, anchor, key: None, seen: HashMap::new() }
    }

    /// Takes the next item of a list, or the next key or value of a mapping. `mergeable` is for keys.
    fn add(&mut self, next: Raw, mergeable: bool) -> Result<(), ComposeError> {
        self.raw.size += next.size;
        self.raw.bytes += next.bytes;
        self.raw.depth = self.raw.depth.max(next.depth + 1);
        match (&mut self.raw.content, self.key.take()) {
            (Content::List(items), _) => items.push(next),
            (Content::Map(entries), Some(key)) => entries.push((key, next)),
            _ => self.key = Some(self.new_key(next, mergeable)?),
        }
        Ok(())
    }

    fn new_key(&mut self, raw: Raw, mergeable: bool) -> Result<Key, ComposeError> {
        let Content::Scalar(Value::Str(text)) = raw.content else {
            return Err(ComposeError::at(&raw.place, "keys must be strings")
                .hint("put the key into quotes"));
        };
        if let Some(first) = self.seen.insert(text.clone(), raw.place.clone()) {
            let message = format!("key `{text}` is already defined at line {}", first.line);
            return Err(ComposeError::at(&raw.place, message));
        }
        let merge = mergeable && text == "<<";
        Ok(Key { text, place: raw.place, merge })
    }
}

fn place_of(file: &Arc<str>, marker: &granit_parser::Marker) -> Place {
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Place { file: Arc::clone(file), line: narrow(marker.line()), column: narrow(marker.col() + 1) }
}

/// Whether the key, if it is `<<`, merges: it is plain, or tagged `!!merge`.
fn is_mergeable(event: &Event<'_>) -> bool {
    match event {
        Event::Scalar(_, style, _, None) => *style == ScalarStyle::Plain,
        Event::Scalar(.., Some(tag)) => {
            (tag.handle(), tag.suffix()) == ("tag:yaml.org,2002:", "merge")
        }
        _ => false,
    }
}

fn mark_of(tag: Option<&Tag>) -> Mark {
    match tag.map(|tag| tag.to_string()).as_deref() {
        Some("!reset") => Mark::Reset,
        Some("!override") => Mark::Override,
        _ => Mark::None,
    }
}

fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    place: &Place,
) -> Result<(Value, Mark), ComposeError> {
    let Some(tag) = tag else {
        let value = match style {
            ScalarStyle::Plain => resolve_plain(text),
            _ => Value::Str(text.into()),
        };
        return Ok((value, Mark::None));
    };
    let wrong =
        || ComposeError::at(place, format!("`{text}` cannot be read as !!{}", tag.suffix()));
    let value = match (tag.handle(), tag.suffix()) {
        ("tag:yaml.org,2002:", "null" | "bool" | "int" | "float") => {
            match (tag.suffix(), resolve_plain(text)) {
                ("null", Value::Null) => Value::Null,
                ("bool", value @ Value::Bool(_)) => value,
                ("int", value @ (Value::Int(_) | Value::Uint(_))) => value,
                ("float", value @ Value::Float(_)) => value,
                #[allow(clippy::cast_precision_loss, reason = "an integer written as a float")]
                ("float", Value::Int(number)) => Value::Float(number as f64),
                _ => return Err(wrong()),
            }
        }
        ("tag:yaml.org,2002:", "binary") => {
            let bytes = BASE64.decode(text.trim()).map_err(|_| wrong())?;
            Value::Str(String::from_utf8_lossy(&bytes).into_owned())
        }
        ("tag:yaml.org,2002:", "timestamp") => Value::Timestamp(text.into()),
        // Any other tag, also !override, makes a scalar a string.
        _ => Value::Str(text.into()),
    };
    Ok((value, mark_of(Some(tag))))
}

/// Applies `!reset`, records cleared paths, and folds merge keys in. Marks count only while `marked`:
/// below an `!override` compose does not look for them.
fn finish(
    raw: Raw,
    path: &mut Vec<String>,
    cleared: &mut Vec<Vec<String>>,
    mut marked: bool,
) -> Result<Option<Node>, ComposeError> {
    match raw.mark {
        Mark::Reset if marked => {
            cleared.push(path.clone());
            return Ok(None);
        }
        Mark::Override if marked => {
            cleared.push(path.clone());
            marked = false;
        }
        _ => {}
    }
    let place = raw.place;
    let value = match raw.content {
        Content::Scalar(value) => value,
        Content::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                path.push(index.to_string());
                list.extend(finish(item, path, cleared, marked)?);
                path.pop();
            }
            Value::List(list)
        }
        Content::Map(entries) => Value::Map(finish_map(entries, path, cleared, marked)?),
    };
    Ok(Some(Node::new(value, place)))
}

fn finish_map(
    entries: Vec<(Key, Raw)>,
    path: &mut Vec<String>,
    cleared: &mut Vec<Vec<String>>,
    marked: bool,
) -> Result<Map, ComposeError> {
    let mut map: Map = IndexMap::with_capacity(entries.len());
    let mut merged = None;
    for (key, raw) in entries {
        if key.merge {
            // Paths inside a merge are those of the mapping it is merged into.
            merged = finish(raw, path, cleared, marked)?;
            continue;
        }
        path.push(key.text.clone());
        if let Some(mut node) = finish(raw, path, cleared, marked)? {
            node.key = Some(key.place);
            map.insert(key.text, node);
        }
        path.pop();
    }
    // Keys of the mapping itself win, then those of the first merged mapping.
    match merged {
        None => {}
        Some(Node { value: Value::List(items), .. }) => {
            for item in items {
                merge_into(&mut map, item)?;
            }
        }
        Some(node) => merge_into(&mut map, node)?,
    }
    Ok(map)
}

fn merge_into(map: &mut Map, node: Node) -> Result<(), ComposeError> {
    match node.value {
        Value::Map(other) => {
            for (key, value) in other {
                map.entry(key).or_insert(value);
            }
            Ok(())
        }
        _ => Err(ComposeError::at(&node.place, "`<<` takes a mapping or a list of mappings")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse_one(text: &str) -> Result<Document, ComposeError> {
        parse(text, &"f.yaml".into()).map(|mut documents| documents.remove(0))
    }

    fn error(text: &str) -> String {
        parse(text, &"f.yaml".into()).unwrap_err().to_string()
    }

    #[test]
    fn long_values_cannot_be_multiplied_by_aliases() {
        let long = "x".repeat(1 << 20);
        let text = format!("a: &a {long}\nb: [{}]\n", "*a, ".repeat(100));
        let error = super::parse(&text, &"f".into()).unwrap_err();
        assert!(error.message.contains("more than 64 MiB"), "{}", error.message);
    }

    #[test]
    fn nesting_has_a_bound_and_takes_no_stack() {
        for (open, close) in [("{a: ", "}"), ("[", "]"), ("{? ", "}"), ("- ", "")] {
            let nested = |levels: usize| {
                let text = format!("{}x{}", open.repeat(levels), close.repeat(levels));
                parse(&text, &"f".into()).map_err(|error| error.message)
            };
            let deep = nested(MAX_DEPTH);
            assert!(open == "{? " || deep.is_ok(), "{open}: {deep:?}");
            assert_eq!(
                nested(MAX_DEPTH + 1).unwrap_err(),
                "values are nested too deeply",
                "{open}"
            );
            nested(50_000).unwrap_err();
        }
    }

    #[test]
    fn own_keys_win_over_merged_ones_and_earlier_merges_over_later() {
        let text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\n";
        let root = parse_one(text).unwrap().root;
        let c = root.get("c").unwrap();
        for (key, value) in [("x", 3), ("y", 1), ("z", 2)] {
            assert_eq!(c.get(key).unwrap().value, Value::Int(value), "{key}");
        }
        assert_eq!(c.get("z").unwrap().start().to_string(), "f.yaml:2:20");
    }

    #[test]
    fn rejects_what_compose_rejects_and_says_where() {
        assert_eq!(error("a: 1\nb: 2\na: 3\n"), "f.yaml:3:1: key `a` is already defined at line 1");
        assert_eq!(error("a: {80: x}\n"), "f.yaml:1:5: keys must be strings");
        assert_eq!(error("a: &a [*a]\n"), "f.yaml:1:8: this alias stands inside its own anchor");
        assert_eq!(
            error("a:\n  <<: 3\n"),
            "f.yaml:2:7: `<<` takes a mapping or a list of mappings"
        );
        assert!(error("a: [1\nb: 2").starts_with("f.yaml:2:"));
    }

    #[test]
    fn bounds_the_expansion_of_aliases() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let previous = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
        }
        assert!(error(&text).contains("aliases expand to more than 100000 values"));
        let mut deep = String::from("a0: &a0 [x]\n");
        for level in 1..400 {
            deep.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert!(error(&deep).contains("nested too deeply"));
    }

    #[test]
    fn records_what_reset_and_override_clear() {
        let text = "a: !reset null\nb: !override [1]\nc: [!reset x, y]\n";
        let document = parse_one(text).unwrap();
        assert_eq!(document.cleared, [vec!["a"], vec!["b"], vec!["c", "0"]]);
        assert!(document.root.get("a").is_none());
        assert_eq!(document.root.get("c").unwrap().as_list().unwrap().len(), 1);
    }
}
