//! What a source file mentions, with its tests stripped item by item.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, ImplItem, Item, Meta, Stmt, Token, TraitItem, UseTree};

/// One file of `src` that is part of the program.
pub(crate) struct Source {
    /// Path below `src`.
    pub(crate) path: PathBuf,
    /// Every path that the code names, from the crate's root or from another crate: `["crate", "build", "Target"]`.
    pub(crate) mentions: BTreeSet<Vec<String>>,
    /// Names of macros that are called.
    pub(crate) macros: BTreeSet<String>,
}

/// Reads the files below `root`, without those that only tests include.
pub(crate) fn read(root: &Path) -> Vec<Source> {
    let mut files = BTreeMap::new();
    for path in rust_files(root) {
        let text = std::fs::read_to_string(&path).unwrap();
        files.insert(path.strip_prefix(root).unwrap().to_owned(), text);
    }
    let tests: BTreeSet<PathBuf> =
        files.iter().flat_map(|(path, text)| test_files(path, text)).collect();
    let is_test = |path: &Path| {
        tests.contains(path) || tests.iter().any(|test| path.starts_with(test.with_extension("")))
    };
    files
        .iter()
        .filter(|(path, _)| !is_test(path))
        .map(|(path, text)| Source::parse(path, text))
        .collect()
}

/// Every `.rs` file below a folder, sorted.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

impl Source {
    /// Parses one file; `path` is relative to `src` and decides what `super` means.
    pub(crate) fn parse(path: &Path, text: &str) -> Self {
        let mut file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        StripTests.visit_file_mut(&mut file);
        let mut source =
            Self { path: path.to_owned(), mentions: BTreeSet::new(), macros: BTreeSet::new() };
        source.items(&file.items, &module_path(path));
        source
    }

    fn items(&mut self, items: &[Item], module: &[String]) {
        for item in items {
            match item {
                Item::Mod(inner) => {
                    let mut below = module.to_vec();
                    below.push(inner.ident.to_string());
                    if let Some((_, items)) = &inner.content {
                        self.items(items, &below);
                    }
                }
                other => self.tokens(other.to_token_stream(), module),
            }
        }
    }

    /// Looks through code as tokens: arguments of macros count, strings and comments do not.
    fn tokens(&mut self, tokens: TokenStream, module: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream(), module),
                TokenTree::Ident(word) if word == "use" => {
                    let end = tokens[at..]
                        .iter()
                        .position(|token| is_punct(token, ';'))
                        .map_or(tokens.len(), |length| at + length);
                    let tree: TokenStream = tokens[at + 1..end].iter().cloned().collect();
                    // `impl Trait + use<'a>` is not an import.
                    if let Ok(tree) = syn::parse2::<UseTree>(tree) {
                        self.imports(&tree, Vec::new(), module);
                        at = end;
                    }
                }
                TokenTree::Ident(word) => {
                    let (path, length) = path_at(&tokens[at..], word.to_string());
                    if tokens.get(at + length).is_some_and(|token| is_punct(token, '!')) {
                        self.macros.extend(path.last().cloned());
                    }
                    self.mention(path, module);
                    at += length - 1;
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn imports(&mut self, tree: &UseTree, mut path: Vec<String>, module: &[String]) {
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.imports(&part.tree, path, module);
            }
            UseTree::Name(name) => {
                if name.ident != "self" {
                    path.push(name.ident.to_string());
                }
                self.mention(path, module);
            }
            UseTree::Rename(name) => {
                if name.ident != "self" {
                    path.push(name.ident.to_string());
                }
                self.mention(path, module);
            }
            UseTree::Glob(_) => self.mention(path, module),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.imports(tree, path.clone(), module);
                }
            }
        }
    }

    fn mention(&mut self, path: Vec<String>, module: &[String]) {
        let path = match path.first().map(String::as_str) {
            Some("self") if path.len() > 1 => [module, &path[1..]].concat(),
            Some("super") => {
                let up = path.iter().take_while(|part| *part == "super").count();
                [&module[..module.len().saturating_sub(up).max(1)], &path[up..]].concat()
            }
            _ => path,
        };
        if path.len() > 1 {
            self.mentions.insert(path);
        }
    }
}

/// The path that starts with `first`, and its length in tokens.
fn path_at(tokens: &[TokenTree], first: String) -> (Vec<String>, usize) {
    let mut path = vec![first];
    let mut length = 1;
    while let [TokenTree::Punct(colon), second, TokenTree::Ident(word), ..] = &tokens[length..] {
        let joined = colon.as_char() == ':' && colon.spacing() == Spacing::Joint;
        if !joined || !is_punct(second, ':') {
            break;
        }
        path.push(word.to_string());
        length += 3;
    }
    (path, length)
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

/// The module a file holds: `build/plan.rs` and `build/plan/mod.rs` are `crate::solve::plan`.
pub(crate) fn module_path(path: &Path) -> Vec<String> {
    let mut module = vec!["crate".to_owned()];
    module.extend(
        path.with_extension("")
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .filter(|part| !["mod", "lib", "main"].contains(&part.as_str())),
    );
    module
}

/// The files of modules which a file declares for tests alone.
fn test_files(path: &Path, text: &str) -> Vec<PathBuf> {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let folder = match path.file_name().and_then(|name| name.to_str()) {
        Some("mod.rs" | "lib.rs" | "main.rs") => path.parent().unwrap().to_owned(),
        _ => path.with_extension(""),
    };
    let declared = file.items.iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_none() && is_test_only(&module.attrs) => {
            Some(module.ident.to_string())
        }
        _ => None,
    });
    declared
        .flat_map(|name| [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")])
        .collect()
}

/// Whether an item exists in tests alone: `#[test]`, `#[cfg(test)]`, `#[cfg(all(test, ...))]`.
fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args::<Meta>().is_ok_and(|condition| needs_test(&condition))
        }
        meta => meta.path().segments.last().is_some_and(|segment| segment.ident == "test"),
    })
}

fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|parts| parts.iter().any(needs_test)),
        _ => false,
    }
}

struct StripTests;

impl StripTests {
    fn keep(item: &Item) -> bool {
        let attributes = match item {
            Item::Const(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::ExternCrate(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::ForeignMod(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Macro(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Trait(item) => &item.attrs,
            Item::Type(item) => &item.attrs,
            Item::Union(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => return true,
        };
        !is_test_only(attributes)
    }
}

impl VisitMut for StripTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(Self::keep);
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(Self::keep);
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, implementation: &mut syn::ItemImpl) {
        implementation.items.retain(|item| match item {
            ImplItem::Fn(function) => !is_test_only(&function.attrs),
            ImplItem::Const(constant) => !is_test_only(&constant.attrs),
            _ => true,
        });
        visit_mut::visit_item_impl_mut(self, implementation);
    }

    fn visit_item_trait_mut(&mut self, item: &mut syn::ItemTrait) {
        item.items.retain(|item| match item {
            TraitItem::Fn(function) => !is_test_only(&function.attrs),
            _ => true,
        });
        visit_mut::visit_item_trait_mut(self, item);
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain(|statement| match statement {
            Stmt::Item(item) => Self::keep(item),
            Stmt::Local(local) => !is_test_only(&local.attrs),
            _ => true,
        });
        visit_mut::visit_block_mut(self, block);
    }
}
