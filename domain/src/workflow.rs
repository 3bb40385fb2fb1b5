//! Workflows 流转: which act leads from which state to which, and where an entry's steps have
//! brought it.
//!
//! The state of an entry is the fold of its steps in step-id order. It refuses to drop a step:
//! one that is not legal where it lands changes nothing and is listed, for people to settle.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::entry::{Step, StepId};
use crate::pack::{Class, Label};

/// A workflow as its pack defines it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workflow {
    /// Its name, unique among all packs.
    pub name: String,
    /// Its name for people.
    pub label: Label,
    /// The state of an entry without steps.
    pub initial: String,
    /// All states, in the order of the pack.
    pub states: Vec<State>,
    /// What may be done, in the order of the pack. One code may stand several times, from
    /// different states.
    pub actions: Vec<Action>,
}

/// A state an entry can be in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    /// Its code.
    pub name: String,
    /// Its name for people.
    pub label: Label,
    /// Whether the matter rests here.
    pub end: bool,
}

/// An act that the workflow knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Action {
    /// Its code, as steps carry it.
    pub name: String,
    /// Its name for people.
    pub label: Label,
    /// The states it may be done in.
    pub from: Vec<String>,
    /// The state it leads to; `None` for a side move that keeps the state.
    pub to: Option<String>,
    /// The class of the remark that a step of this action may carry.
    pub note_class: Class,
}

impl Workflow {
    /// The state of that code.
    pub fn state(&self, name: &str) -> Option<&State> {
        self.states.iter().find(|state| state.name == name)
    }

    /// What may be done in a state, in the order of the pack.
    pub fn allowed(&self, state: &str) -> Vec<&Action> {
        self.actions.iter().filter(|action| action.from.iter().any(|from| from == state)).collect()
    }

    /// The action of that code that may be done in a state.
    pub fn action_in(&self, state: &str, name: &str) -> Option<&Action> {
        self.actions
            .iter()
            .find(|action| action.name == name && action.from.iter().any(|from| from == state))
    }

    /// The first action of that code, whatever the state.
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.name == name)
    }
}

/// Where its steps have brought an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// The state's code; empty for a kind without workflow.
    pub state: String,
    /// Action to the business date of its last legal step.
    pub done: BTreeMap<String, String>,
    /// State to the business date of the last step that led into it. The initial state is absent
    /// until a step leads back to it.
    pub entered: BTreeMap<String, String>,
    /// Steps that were not legal where they landed, in step-id order.
    pub conflicts: Vec<StepConflict>,
}

/// A step that was not legal in the state it met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepConflict {
    /// The step.
    pub step: StepId,
    /// Its action.
    pub action: String,
    /// The state it met.
    pub state: String,
}

/// Follows the steps, in step-id order, from the initial state.
pub fn fold(workflow: &Workflow, steps: &[Step]) -> Progress {
    let mut ordered: Vec<&Step> = steps.iter().collect();
    ordered.sort_by(|left, right| left.id.cmp(&right.id));
    let mut progress = Progress { state: workflow.initial.clone(), ..Progress::default() };
    for step in ordered {
        let Some(action) = workflow.action_in(&progress.state, &step.action) else {
            progress.conflicts.push(StepConflict {
                step: step.id.clone(),
                action: step.action.clone(),
                state: progress.state.clone(),
            });
            continue;
        };
        progress.done.insert(step.action.clone(), step.at.clone());
        if let Some(to) = &action.to {
            progress.state.clone_from(to);
            progress.entered.insert(to.clone(), step.at.clone());
        }
    }
    progress
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hlc::Hlc;

    fn state(name: &str) -> State {
        State { name: name.into(), label: Label::default(), end: false }
    }

    fn action(name: &str, from: &[&str], to: Option<&str>) -> Action {
        Action {
            name: name.into(),
            label: Label::default(),
            from: from.iter().map(|&from| from.into()).collect(),
            to: to.map(Into::into),
            note_class: Class::C2,
        }
    }

    fn issue() -> Workflow {
        Workflow {
            name: "issue".into(),
            label: Label::default(),
            initial: "draft".into(),
            states: ["draft", "open", "solved"].map(state).to_vec(),
            actions: vec![
                action("report", &["draft"], Some("open")),
                action("extend", &["open"], None),
                action("solve", &["open"], Some("solved")),
                action("reopen", &["solved"], Some("open")),
            ],
        }
    }

    fn step(millis: u64, action: &str, at: &str) -> Step {
        Step {
            id: StepId::new(Hlc::at_millis(millis), [0, 0, 0, 1]),
            action: action.into(),
            at: at.into(),
            by: "desk".into(),
            note: None,
        }
    }

    #[test]
    fn an_entry_without_steps_is_in_the_initial_state() {
        let progress = fold(&issue(), &[]);
        assert_eq!(progress.state, "draft");
        assert!(progress.entered.is_empty());
    }

    #[test]
    fn steps_lead_on_and_leave_their_dates() {
        let steps = [
            step(1, "report", "2026-03-01"),
            step(2, "extend", "2026-03-02"),
            step(3, "solve", "2026-03-03"),
            step(4, "reopen", "2026-03-04"),
            step(5, "solve", "2026-03-05"),
        ];
        let progress = fold(&issue(), &steps);
        assert_eq!(progress.state, "solved");
        assert_eq!(progress.done["solve"], "2026-03-05", "the last one counts");
        assert_eq!(progress.entered["open"], "2026-03-04");
        assert!(!progress.entered.contains_key("draft"));
        assert!(progress.conflicts.is_empty());
    }

    #[test]
    fn of_two_desks_solving_at_once_one_counts_and_the_other_is_listed() {
        let steps = [
            step(1, "report", "2026-03-01"),
            step(2, "solve", "2026-03-02"),
            step(3, "solve", "2026-03-09"),
        ];
        let progress = fold(&issue(), &steps);
        assert_eq!(progress.state, "solved");
        assert_eq!(progress.done["solve"], "2026-03-02", "the illegal step leaves no date");
        assert_eq!(
            progress.conflicts,
            [StepConflict {
                step: steps[2].id.clone(),
                action: "solve".into(),
                state: "solved".into()
            }]
        );
    }

    #[test]
    fn an_action_the_workflow_does_not_know_is_listed() {
        let progress = fold(&issue(), &[step(1, "sing", "2026-03-01")]);
        assert_eq!(progress.state, "draft");
        assert_eq!(progress.conflicts[0].action, "sing");
    }

    #[test]
    fn only_what_the_state_allows_is_offered() {
        let codes = |state: &str| -> Vec<String> {
            issue().allowed(state).iter().map(|action| action.name.clone()).collect()
        };
        assert_eq!(codes("open"), ["extend", "solve"]);
        assert_eq!(codes("nowhere"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn arrival_order_does_not_matter_and_no_step_is_lost(
            picks in proptest::collection::vec(0_usize..5, 0..12),
            seed in any::<u64>(),
        ) {
            let codes = ["report", "extend", "solve", "reopen", "sing"];
            let steps: Vec<Step> = picks
                .iter()
                .enumerate()
                .map(|(at, &pick)| step(at as u64 + 1, codes[pick], &format!("2026-03-{:02}", at + 1)))
                .collect();
            let mut shuffled = steps.clone();
            shuffled.sort_by_key(|step| (step.id.hlc().unwrap().0 ^ seed).wrapping_mul(0x9e37_79b9));
            let progress = fold(&issue(), &steps);
            prop_assert_eq!(&fold(&issue(), &shuffled), &progress);
            let legal = steps.len() - progress.conflicts.len();
            prop_assert!(progress.done.len() <= legal);
            prop_assert!(issue().state(&progress.state).is_some());
        }
    }
}
