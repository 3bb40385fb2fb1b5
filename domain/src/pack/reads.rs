//! What a formula reads of an entry, and the names it uses, found in its syntax tree.
//!
//! It errs on the safe side: what cannot be told from the text counts as read.

use std::collections::BTreeSet;

use cel::Program;
use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// What a formula reads: an entry change that touches none of it cannot change the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reads {
    /// Fields and sets read by name.
    pub fields: BTreeSet<String>,
    /// Whether it reads the state or dates, which depend on every step.
    pub steps: bool,
    /// Whether it may read any field.
    pub any_field: bool,
}

impl Reads {
    /// Takes in what another reads.
    pub fn join(&mut self, other: &Self) {
        self.fields.extend(other.fields.iter().cloned());
        self.steps |= other.steps;
        self.any_field |= other.any_field;
    }

    /// Whether a change of this document key (`field`, `field:item`, `#step`) may matter.
    pub fn touched_by(&self, key: &str) -> bool {
        if key.starts_with('#') {
            return self.steps;
        }
        let field = key.split_once(':').map_or(key, |(field, _)| field);
        self.any_field || self.fields.contains(field)
    }
}

/// A name that a formula uses and that its metric's kinds must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) what: Mentioned,
    /// Where, in characters from the start of the formula.
    pub(super) at: usize,
}

/// What a mentioned name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mentioned {
    Variable(String),
    Function(String),
    Field(String),
    Set(String),
    Action(String),
    State(String),
    /// A value that a field is compared with: field, value.
    Choice(String, String),
}

/// What a program reads, and the names it mentions.
pub(super) fn walk(program: &Program) -> (Reads, Vec<Mention>) {
    let mut walk = Walk { program, reads: Reads::default(), mentions: Vec::new() };
    walk.visit(program.expression(), &mut Vec::new());
    (walk.reads, walk.mentions)
}

/// Collects while it follows the expression.
struct Walk<'p> {
    program: &'p Program,
    reads: Reads,
    mentions: Vec<Mention>,
}

impl Walk<'_> {
    fn visit(&mut self, node: &IdedExpr, bound: &mut Vec<String>) {
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.bare(node, name, bound),
            Expr::Select(select) => {
                let at = self.offset(node);
                if !self.keyed(&select.operand, &select.field, at, bound) {
                    self.visit(&select.operand, bound);
                }
            }
            Expr::Call(call) => {
                let is_operator = !call.func_name.starts_with(|c: char| c.is_ascii_alphabetic());
                if !is_operator {
                    self.mention(node, Mentioned::Function(call.func_name.clone()));
                }
                if let Some(target) = &call.target {
                    self.visit(target, bound);
                }
                if let [left, right] = call.args.as_slice() {
                    if call.func_name == operators::INDEX
                        && let Some(key) = literal(right)
                        && self.keyed(left, key, self.offset(node), bound)
                    {
                        return;
                    }
                    self.compared(&call.func_name, left, right, bound);
                }
                for arg in &call.args {
                    self.visit(arg, bound);
                }
            }
            Expr::List(list) => {
                for element in &list.elements {
                    self.visit(element, bound);
                }
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    self.visit_entry(&entry.expr, bound);
                }
            }
            Expr::Struct(made) => {
                for entry in &made.entries {
                    self.visit_entry(&entry.expr, bound);
                }
            }
            Expr::Comprehension(loop_) => {
                self.visit(&loop_.iter_range, bound);
                self.visit(&loop_.accu_init, bound);
                let before = bound.len();
                bound.push(loop_.iter_var.clone());
                bound.extend(loop_.iter_var2.clone());
                bound.push(loop_.accu_var.clone());
                self.visit(&loop_.loop_cond, bound);
                self.visit(&loop_.loop_step, bound);
                self.visit(&loop_.result, bound);
                bound.truncate(before);
            }
        }
    }

    fn visit_entry(&mut self, entry: &EntryExpr, bound: &mut Vec<String>) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value, bound),
            EntryExpr::MapEntry(pair) => {
                self.visit(&pair.key, bound);
                self.visit(&pair.value, bound);
            }
        }
    }

    /// `f.name`, `sets.name`, `at.name`, `since.name` and their forms with brackets.
    fn keyed(&mut self, left: &IdedExpr, key: &str, at: usize, bound: &[String]) -> bool {
        let Expr::Ident(variable) = &left.expr else { return false };
        if bound.contains(variable) {
            return false;
        }
        let key = key.to_owned();
        let what = match variable.as_str() {
            "f" => Mentioned::Field(key.clone()),
            "sets" => Mentioned::Set(key.clone()),
            "at" => Mentioned::Action(key.clone()),
            "since" => Mentioned::State(key.clone()),
            _ => return false,
        };
        match what {
            Mentioned::Field(_) | Mentioned::Set(_) => {
                self.reads.fields.insert(key);
            }
            _ => self.reads.steps = true,
        }
        self.mentions.push(Mention { what, at });
        true
    }

    /// A variable that stands alone.
    fn bare(&mut self, node: &IdedExpr, name: &str, bound: &[String]) {
        if bound.iter().any(|known| known == name) {
            return;
        }
        match name {
            "f" | "sets" => self.reads.any_field = true,
            "state" | "at" | "since" => self.reads.steps = true,
            _ => self.mention(node, Mentioned::Variable(name.to_owned())),
        }
    }

    /// `state == 'x'`, `state in ['x', 'y']` and the same for a field: the values must be known.
    fn compared(&mut self, operator: &str, left: &IdedExpr, right: &IdedExpr, bound: &[String]) {
        let (subject, values) = match operator {
            operators::EQUALS | operators::NOT_EQUALS => match (literal(left), literal(right)) {
                (None, Some(_)) => (left, vec![right]),
                (Some(_), None) => (right, vec![left]),
                _ => return,
            },
            operators::IN => match &right.expr {
                Expr::List(list) => (left, list.elements.iter().collect()),
                _ => return,
            },
            _ => return,
        };
        for value in values {
            let Some(text) = literal(value) else { continue };
            let what = match &subject.expr {
                Expr::Ident(name) if name == "state" && !bound.contains(name) => {
                    Mentioned::State(text.to_owned())
                }
                Expr::Select(select) if !select.test => match &select.operand.expr {
                    Expr::Ident(name) if name == "f" && !bound.contains(name) => {
                        Mentioned::Choice(select.field.clone(), text.to_owned())
                    }
                    _ => continue,
                },
                _ => continue,
            };
            self.mention(value, what);
        }
    }

    fn mention(&mut self, node: &IdedExpr, what: Mentioned) {
        let at = self.offset(node);
        self.mentions.push(Mention { what, at });
    }

    fn offset(&self, node: &IdedExpr) -> usize {
        let source = self.program.source_info();
        let start = source.offset_for(node.id).map_or(0, |(start, _)| start as usize);
        // The parser counts bytes.
        source.source.get(..start).map_or(0, |before| before.chars().count())
    }
}

fn literal(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
