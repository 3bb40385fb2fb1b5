//! Tables on a terminal, where a Chinese character takes two columns.
//!
//! It refuses to wrap: what does not fit in a line is cut with `…`, and the whole is in `--json`
//! and on the entry's own page.

/// Columns of the text.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// The text, or its beginning and `…`, in at most `max` columns.
pub fn cut(text: &str, max: usize) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if width(&one_line) <= max {
        return one_line;
    }
    let mut out = String::new();
    let mut used = 1;
    for letter in one_line.chars() {
        used += columns(letter);
        if used > max {
            break;
        }
        out.push(letter);
    }
    out.push('…');
    out
}

/// A table: cells are cut and padded when it is rendered.
#[derive(Debug, Clone, Default)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug, Clone)]
struct Column {
    heading: String,
    right: bool,
}

/// Widest cell, in columns of the terminal.
const CELL_MAX: usize = 60;
const GAP: &str = "  ";

impl Table {
    /// A table with these headings; one that begins with `>` is for numbers and aligned right.
    pub fn new<S: AsRef<str>>(headings: impl IntoIterator<Item = S>) -> Self {
        let columns = headings
            .into_iter()
            .map(|heading| {
                let heading = heading.as_ref();
                let bare = heading.strip_prefix('>');
                Column { heading: bare.unwrap_or(heading).to_owned(), right: bare.is_some() }
            })
            .collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table in lines of at most `line` columns: headings, a rule, rows. Empty columns, and
    /// those on the right that find no room, are left out.
    pub fn render(&self, line: usize) -> String {
        let kept = self.kept(line);
        let mut out = String::new();
        let headings: Vec<&str> = self.columns.iter().map(|c| c.heading.as_str()).collect();
        self.line(&mut out, &kept, &headings);
        let rules: Vec<String> = kept.iter().map(|(_, wide)| "─".repeat(*wide)).collect();
        out.push_str(&rules.join(GAP));
        out.push('\n');
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            self.line(&mut out, &kept, &cells);
        }
        out
    }

    /// The columns that are shown, with their widths.
    fn kept(&self, line: usize) -> Vec<(usize, usize)> {
        let mut kept = Vec::new();
        let mut used = 0;
        for (nth, column) in self.columns.iter().enumerate() {
            let cells = self.rows.iter().map(|row| width(&cut(&row[nth], CELL_MAX)));
            let widest = cells.max().unwrap_or(0);
            if widest == 0 && !self.rows.is_empty() && nth > 0 {
                continue;
            }
            let wide = widest.max(width(&column.heading));
            let gap = if nth == 0 { 0 } else { GAP.len() };
            if nth > 0 && used + gap + wide > line {
                continue;
            }
            used += gap + wide;
            kept.push((nth, wide));
        }
        kept
    }

    fn line(&self, out: &mut String, kept: &[(usize, usize)], cells: &[&str]) {
        let mut text = String::new();
        for (place, (nth, wide)) in kept.iter().enumerate() {
            if place > 0 {
                text.push_str(GAP);
            }
            let cell = cut(cells[*nth], *wide);
            let pad = " ".repeat(wide.saturating_sub(width(&cell)));
            if self.columns[*nth].right {
                text.push_str(&pad);
                text.push_str(&cell);
            } else {
                text.push_str(&cell);
                text.push_str(&pad);
            }
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
}

/// Columns of one character: two for the wide blocks of East Asian Width (UAX #11) that occur in
/// office work, none for marks that sit on the character before.
fn columns(letter: char) -> usize {
    match letter as u32 {
        0x0000..=0x001f | 0x007f..=0x009f | 0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => {
            0
        }
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff01..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_takes_two_columns_and_marks_none() {
        assert_eq!(width("草西街 12号"), 11);
        assert_eq!(width("（吹哨）"), 8);
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(width("≥ 20"), 4);
    }

    #[test]
    fn a_cut_never_exceeds_its_room() {
        let text = "路灯不亮 lamp 已报修";
        for max in 1..30 {
            let cut = cut(text, max);
            assert!(width(&cut) <= max, "{cut} in {max}");
        }
        assert_eq!(cut(text, 21), text);
        assert_eq!(cut("one\n two", 20), "one two", "a cell is one line");
    }

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::new(["编号", "名称", ">件数", "空"]);
        table.row(["a", "问题诉求", "60", ""]);
        table.row(["bbbbbb", "路灯", "5", ""]);
        assert_eq!(
            table.render(80),
            "编号    名称      件数\n──────  ────────  ────\na       问题诉求    60\nbbbbbb  路灯         5\n"
        );
    }

    #[test]
    fn a_line_keeps_its_bound_and_its_first_column() {
        let mut table = Table::new(["id", "long", "short"]);
        table.row(["01J", &"字".repeat(40), "x"]);
        for line in [10, 40, 72, 100] {
            let text = table.render(line);
            assert!(text.lines().all(|text| width(text) <= line), "{line}:\n{text}");
            assert!(text.starts_with("id"), "{text}");
        }
    }
}
