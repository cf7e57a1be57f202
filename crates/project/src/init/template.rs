//! The small language of `templates/`: `@name@` for a value, `#> name` to `#> end` for lines that are there only
//! where a condition holds. YAML, Dockerfiles and ignore files read both as comments or text.

use std::collections::BTreeMap;

/// Values and conditions by name.
#[derive(Debug, Clone, Default)]
pub struct Values {
    values: BTreeMap<&'static str, String>,
    conditions: BTreeMap<&'static str, bool>,
}

impl Values {
    /// Sets a value. A line that is nothing but `@name@` becomes the value's lines.
    #[must_use]
    pub fn value(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.values.insert(name, value.into());
        self
    }

    /// Sets a condition.
    #[must_use]
    pub fn condition(mut self, name: &'static str, holds: bool) -> Self {
        self.conditions.insert(name, holds);
        self
    }

    /// Fills in a template.
    ///
    /// # Panics
    /// The template names a condition that is not set, or ends one that was not begun: templates
    /// are part of the program.
    pub fn fill(&self, template: &str) -> String {
        let mut open: Vec<bool> = Vec::new();
        let mut out = String::new();
        for line in template.lines() {
            match line.trim_start().strip_prefix("#> ") {
                Some("end") => {
                    open.pop().expect("a condition is open");
                }
                Some(name) => {
                    open.push(*self.conditions.get(name).expect("the condition is known"));
                }
                None if open.iter().all(|holds| *holds) => {
                    let mut line = line.to_owned();
                    for (name, value) in &self.values {
                        line = line.replace(&format!("@{name}@"), value);
                    }
                    out.push_str(&line);
                    out.push('\n');
                }
                None => {}
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_and_conditions_kept() {
        let values = Values::default()
            .value("name", "shop")
            .value("list", "  - a\n  - b")
            .condition("api", true)
            .condition("worker", false);
        let template = "name: @name@\n#> api\napi: 1\n  #> worker\nboth: 1\n  #> end\n#> end\n@list@\n# uses: actions/x@v4\n";
        assert_eq!(
            values.fill(template),
            "name: shop\napi: 1\n  - a\n  - b\n# uses: actions/x@v4\n"
        );
    }
}
