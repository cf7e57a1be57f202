//! Pages in Chromium, as somebody would see them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Counts what is seen. It runs in a copy of the page without its policy, which lets no script run.
const LOOK: &str = r#"<script>addEventListener('load', () => {
  const rgb = (text) => (text.match(/[\d.]+/g) || [0, 0, 0]).slice(0, 3).map(Number);
  const light = (text) => {
    const [r, g, b] = rgb(text).map((it) => it / 255).map((it) => it <= 0.03928 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = getComputedStyle(document.body).backgroundColor;
  const faint = [], outside = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((it) => it.nodeType === 3 && it.textContent.trim());
    if (!own || element.closest('.scroll, .card, title')) continue;
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    const colour = element.closest('svg') ? style.fill : style.color;
    const [one, other] = [light(colour), light(back)].sort((a, b) => b - a);
    if ((one + 0.05) / (other + 0.05) < 4.5) faint.push(element.textContent.trim());
    if (box.width > 0 && (box.left < -1 || box.right > innerWidth + 1)) outside.push(element.textContent.trim());
  }
  document.documentElement.dataset.look = JSON.stringify({
    width: innerWidth, scrolls: document.documentElement.scrollWidth, back: light(back), faint, outside,
  });
});</script></body>"#;

/// What a page looks like.
#[derive(Debug)]
pub struct Look {
    /// Whether the page is dark.
    pub is_dark: bool,
    /// Pixels by which it is wider than the window.
    pub excess: i64,
    /// Texts with too little contrast to be read.
    pub faint: Vec<String>,
    /// Texts that stand outside of the window.
    pub outside: Vec<String>,
}

/// Chromium, as DOC2MD_TEST_CHROMIUM or the path has it.
fn browser() -> PathBuf {
    let given = std::env::var_os("DOC2MD_TEST_CHROMIUM").map(PathBuf::from);
    let names = ["chromium-headless-shell", "chromium"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = || {
        let places = std::env::split_paths(&path);
        let mut all = places.flat_map(|place| names.map(|name| place.join(name)));
        all.find(|place| place.exists())
    };
    given.or_else(found).expect(
        "pages are looked at in Chromium: `make test` installs it, or apt-get install chromium-headless-shell",
    )
}

fn run(page: &Path, width: u32, is_dark: bool) -> (String, String) {
    let profile = TempDir::with_prefix("d2m-browser-").unwrap();
    let scheme = i32::from(!is_dark);
    let output = Command::new(browser())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--hide-scrollbars", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={width},800"))
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}: {output:?}", page.display());
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Opens a page as it is. What its policy forbids is told by the browser and fails.
#[track_caller]
pub fn allows_itself(page: &Path) {
    let (_, said) = run(page, 1100, false);
    for line in said.lines() {
        assert!(!line.contains("CONSOLE"), "{}: {line}", page.display());
    }
}

/// Looks at a page in a window of `width` pixels.
#[track_caller]
pub fn look(page: &Path, width: u32, is_dark: bool) -> Look {
    let folder = TempDir::with_prefix("d2m-page-").unwrap();
    let text = std::fs::read_to_string(page).unwrap();
    let (before, rest) = text.split_once("<meta http-equiv=").expect("a policy");
    let (_, after) = rest.split_once('>').unwrap();
    let copy = format!("{before}{after}").replace("</body>", LOOK);
    let path = folder.path().join("copy.html");
    std::fs::write(&path, copy).unwrap();
    let (dom, said) = run(&path, width, is_dark);
    let told = dom.split_once("data-look=\"").unwrap_or_else(|| panic!("{said}\n{dom}")).1;
    let told = told.split_once('"').unwrap().0.replace("&quot;", "\"").replace("&amp;", "&");
    let told: Value = serde_json::from_str(&told).unwrap();
    let texts = |key: &str| -> Vec<String> {
        let all = told[key].as_array().unwrap().iter();
        all.map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(told["width"], width, "{told}");
    Look {
        is_dark: told["back"].as_f64().unwrap() < 0.2,
        excess: told["scrolls"].as_i64().unwrap() - i64::from(width),
        faint: texts("faint"),
        outside: texts("outside"),
    }
}
