//! What every page of HTML has: it is self-contained, without scripts, and has a policy that lets nothing in.
//!
//! The template escapes whatever is put into it; names and messages from elsewhere also go through [`text`].

use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::terminal::control::{Colours, harmless};

/// Colours of day and night, texts, tables.
const BASE: &str = include_str!("base.css");

/// A whole page. `style` comes after what all pages have.
pub(super) fn document(title: &str, style: &str, body: &Markup) -> String {
    let style = format!("{BASE}{style}");
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(&style));
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (text(title)) }
                style { (PreEscaped(style)) }
            }
            body { (body) }
        }
    };
    page.into_string() + "\n"
}

/// Text from elsewhere, without characters that steer a terminal or the direction of text.
pub(super) fn text(foreign: &str) -> String {
    harmless(foreign, Colours::Drop)
}

/// Part of the whole in percent, to a hundredth; not a number in no case.
pub(super) fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (part / whole * 10_000.0).round() / 100.0 } else { 0.0 }
}
