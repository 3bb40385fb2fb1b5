//! A recovery sheet as a page to print: A4, large letters, one file without any other.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

use super::sheet::Sheet;

/// Where each sheet belongs, 中文 and English.
const PLACES: [(&str, &str); 3] = [
    ("社区：锁在社区主任的柜子里", "Community: locked in the director's cabinet"),
    ("街道办事处：放进保险柜", "Street office: in the safe"),
    (
        "密封信封：由社区以外可信的人保管",
        "Sealed envelope: with a trusted person outside the office",
    ),
];

const STYLE: &str = "@page{size:A4;margin:18mm}body{font-family:sans-serif;color:#000;max-width:172mm;\
margin:0 auto;line-height:1.45}h1{font-size:22pt;margin:0}h2{font-size:14pt;margin:4mm 0}\
p{font-size:11pt;margin:2mm 0}.place{border:1.5pt solid;padding:3mm;font-size:13pt}\
table{border-collapse:collapse;margin:6mm 0}td{font:16pt monospace;padding:2mm 3mm;border-bottom:.5pt \
solid #888}td.no{font-size:11pt}svg{width:46mm;height:46mm}.en{font-size:10pt}";

/// The page of sheet `nth`, counted from 0, of a community, printed on a day.
pub(super) fn render(sheet: &Sheet, nth: usize, community: &str, day: &str) -> String {
    let lines = sheet.lines();
    let (zh, en) = PLACES[nth];
    let no = nth + 1;
    let mut rows = String::new();
    for (at, line) in lines.iter().enumerate() {
        let _ = writeln!(
            rows,
            "<tr><td class=\"no\">{}</td><td class=\"line\">{line}</td></tr>",
            at + 1
        );
    }
    let code = code(&lines.join("\n"));
    format!(
        "<!doctype html>\n<html lang=\"zh-CN\"><head><meta charset=\"utf-8\">\
<title>邻里恢复单 {no}/3 · {community} · {day}</title><style>{STYLE}</style></head><body>\n\
<h1>邻里恢复单 第 {no} 张（共 3 张）</h1>\n<h2>社区 {community} · 打印日期 {day}</h2>\n\
<p class=\"place\">存放：{zh}</p>\n\
<p>社区的电脑全部遗失时，用三张中的任意两张可以读回街道平台上封存的个人信息。单独一张什么也打不开。\
三张请分开存放，不要拍照、复印或存入电脑。重新打印后，旧的一套作废，请销毁。每年演练一次。</p>\n\
<p>用法：新电脑加入社区并同步后，运行 linli-node recovery use，按行输入下面的内容；每行最后一组用于检查输入。</p>\n\
<table>\n{rows}</table>\n{code}\n\
<div class=\"en\"><h2>Linli recovery sheet {no} of 3 · community {community} · printed {day}</h2>\n\
<p class=\"place\">Kept at: {en}</p>\n\
<p>If every machine of the community is lost, any two of the three sheets bring back the personal \
fields that lie sealed at the street office. One alone opens nothing. Keep them apart; do not photograph, \
copy or store them on a computer. A new printing voids the old set: destroy it. Rehearse once a year.</p>\n\
<p>To use: enrol a new machine, let it sync, run linli-node recovery use, and type the lines above. The last \
group of each line checks it.</p></div>\n</body></html>\n"
    )
}

/// The same text as a code for a camera; it is far below the largest code.
fn code(text: &str) -> String {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return String::new() };
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            let _ = write!(path, "M{x} {y}h1v1h-1z");
        }
    }
    let side = code.size() + 8;
    format!(
        "<svg viewBox=\"-4 -4 {side} {side}\" role=\"img\" aria-label=\"QR\"><path d=\"{path}\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_its_lines_and_asks_for_nothing_outside() {
        let sheets = Sheet::split(&[7; 32], &mut rand::rng());
        for (nth, sheet) in sheets.iter().enumerate() {
            let page = render(sheet, nth, "yili", "2026-03-06");
            for line in sheet.lines() {
                assert!(page.contains(&line));
            }
            assert!(page.contains(PLACES[nth].0) && page.contains(PLACES[nth].1));
            assert!(page.contains("<svg") && page.contains("2026-03-06"));
            for outside in ["http", "src=", "href", "@import", "url("] {
                assert!(!page.contains(outside), "{outside}");
            }
        }
    }
}
