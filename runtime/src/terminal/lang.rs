//! The language a person is spoken to in: Chinese unless asked otherwise.

use crate::ask::Trouble;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    /// 中文.
    Zh,
    /// English.
    En,
}

impl Lang {
    /// Reads `zh`, `en` and their longer forms such as `zh-CN` or `en_US.UTF-8`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.get(..2)?.to_ascii_lowercase().as_str() {
            "zh" => Some(Self::Zh),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// What the words of a command line or else the environment ask for. Known before the command
    /// line is parsed, since help and complaints need it.
    pub fn choose<'a>(
        words: impl IntoIterator<Item = &'a str>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let given = match word.strip_prefix("--lang") {
                Some("") => words.next(),
                Some(rest) => rest.strip_prefix('='),
                None => None,
            };
            if let Some(lang) = given.and_then(Self::parse) {
                return lang;
            }
        }
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|name| environment(name).filter(|text| !text.is_empty()));
        set.and_then(|text| Self::parse(&text)).unwrap_or(Self::Zh)
    }

    /// The one of two that is in this language.
    pub fn pick<T>(self, zh: T, en: T) -> T {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    /// A trouble's sentence.
    pub fn of(self, trouble: &Trouble) -> &str {
        self.pick(&trouble.zh, &trouble.en)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_comes_before_the_environment_and_chinese_before_all_else() {
        let environment =
            |lang: &'static str| move |name: &str| (name == "LANG").then(|| lang.to_owned());
        assert_eq!(Lang::choose([], environment("")), Lang::Zh);
        assert_eq!(Lang::choose([], environment("C.UTF-8")), Lang::Zh);
        assert_eq!(Lang::choose([], environment("en_US.UTF-8")), Lang::En);
        assert_eq!(Lang::choose(["--lang", "zh"], environment("en_US")), Lang::Zh);
        assert_eq!(Lang::choose(["list", "--lang=en"], environment("zh_CN")), Lang::En);
        assert_eq!(Lang::choose(["--lang"], environment("en_GB")), Lang::En);
    }
}
