//! Configuration files: TOML, read once, with every key known.
//!
//! It refuses a key that the program does not know, and names the nearest one it does: a misspelt
//! key that is passed over in silence is a setting that does not hold.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It holds a key that does not exist.
    #[error("{path}, line {line}: there is no setting `{key}`{}", hint(.nearest.as_deref()))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The key that may have been meant.
        nearest: Option<String>,
    },
    /// It is not TOML, or a value is not of its kind.
    #[error("{path}, line {line}: {}", .source.message())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        source: Box<toml::de::Error>,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}

/// Reads a file into `T`, which must have `#[serde(deny_unknown_fields)]` on every struct.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(path, &text)
}

/// Reads the text of the file `path`; see [`read`].
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|source| {
        let path = path.to_owned();
        let line = source.span().map_or(1, |span| line_of(text, span.start));
        match unknown_key(source.message()) {
            Some((key, known)) => ConfigError::Unknown {
                path,
                line,
                nearest: nearest(key, &known),
                key: key.to_owned(),
            },
            None => ConfigError::Invalid { path, line, source: Box::new(source) },
        }
    })
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// The key and the known keys out of serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let quoted = message.strip_prefix("unknown field ")?;
    let mut names = quoted.split('`').skip(1).step_by(2);
    Some((names.next()?, names.collect()))
}

/// The known key that is most like the given one, if any is like it at all.
fn nearest(key: &str, known: &[&str]) -> Option<String> {
    /// Below this likeness (0 to 1) a guess misleads more than it helps.
    const LIKENESS_MIN: f64 = 0.6;
    known
        .iter()
        .map(|name| (strsim::jaro_winkler(key, name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Config {
        listen: String,
        #[serde(default)]
        storage: Storage,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Storage {
        path: String,
        cache_mb: u32,
    }

    fn failure(text: &str) -> String {
        parse::<Config>(Path::new("hub.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_good_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub.toml");
        fs::write(&path, "# where\nlisten = \"[::]:7443\"\n[storage]\ncache_mb = 64\n").unwrap();
        let storage = Storage { path: String::new(), cache_mb: 64 };
        let expected = Config { listen: "[::]:7443".to_owned(), storage };
        assert_eq!(read::<Config>(&path).unwrap(), expected);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known() {
        assert_eq!(
            failure("listen = \"x\"\n\nlistne = \"y\"\n"),
            "hub.toml, line 3: there is no setting `listne`; did you mean `listen`?"
        );
        assert_eq!(
            failure("listen = \"x\"\n[storage]\n# a remark\ncachemb = 3\n"),
            "hub.toml, line 4: there is no setting `cachemb`; did you mean `cache_mb`?"
        );
        assert_eq!(
            failure("listen = \"x\"\nzzz = 1\n"),
            "hub.toml, line 2: there is no setting `zzz`"
        );
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_line() {
        let wrong = failure("listen = \"x\"\n[storage]\ncache_mb = \"much\"\n");
        assert!(wrong.starts_with("hub.toml, line 3: invalid type: string \"much\""), "{wrong}");
        let missing = failure("[storage]\n");
        assert!(missing.contains("missing field `listen`"), "{missing}");
        let broken = failure("listen = \"x\"\nlisten\n");
        assert!(broken.starts_with("hub.toml, line 2: "), "{broken}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read::<Config>(Path::new("no/such/hub.toml")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read no/such/hub.toml"), "{error}");
    }
}
