//! What was said on an earlier link proves nothing on a later one.

use super::*;

/// What an engine does with one frame.
fn hear(side: &mut Side, link: LinkId, frame: Frame) -> Vec<Effect> {
    let mut effects = Vec::new();
    side.engine.step(Hlc(0), Event::Frame { link, frame }, &mut side.memory, &mut effects);
    effects
}

/// Two who met once, and met again when the left one had more to give: it has sent that, and no
/// answer has come. Also gives what both said the first time.
fn unanswered() -> ([Side; 2], LinkId, (Vec<Frame>, Vec<Frame>)) {
    let (mut left, mut right) = (side("a", 1), side("b", 2));
    left.memory.write(100);
    let before = meet(&mut left, &mut right, 1);
    left.memory.write(200);
    let link = LinkId(2);
    let mut said = (Vec::new(), Vec::new());
    let first = link_up(&left, &right, link);
    let hellos = turns([&mut left, &mut right], link, first, &mut said);
    turns([&mut left, &mut right], link, hellos, &mut said);
    assert!(said.0.iter().any(|frame| matches!(frame, Frame::Batch(_))), "{said:?}");
    assert!(!right.memory.has(200));
    ([left, right], link, before)
}

/// The left one ends the link, counts nothing as held that is not, and gives all of it later.
fn assert_not_believed([mut left, mut right]: [Side; 2], link: LinkId, answer: Frame) {
    assert!(matches!(answer, Frame::Ack(_)), "{answer:?}");
    let effects = hear(&mut left, link, answer);
    assert_acked_is_held(&left, &right);
    assert!(matches!(effects.as_slice(), [Effect::Close { .. }]), "{effects:?}");
    right.engine.step(Hlc(0), Event::LinkDown { link }, &mut right.memory, &mut Vec::new());
    meet(&mut left, &mut right, 3);
    assert!(right.memory.has(200));
}

#[test]
fn an_answer_of_an_earlier_link_is_none_to_what_this_one_carries() {
    let (sides, link, (_, from_right)) = unanswered();
    let answer = from_right.into_iter().find(|frame| matches!(frame, Frame::Ack(_)));
    assert_not_believed(sides, link, answer.expect("it was sent a change"));
}

#[test]
fn an_answer_to_a_batch_of_an_earlier_link_is_none_to_what_this_one_carries() {
    let ([left, mut right], link, (from_left, _)) = unanswered();
    let batch = from_left.into_iter().find(|frame| matches!(frame, Frame::Batch(_)));
    let effects = hear(&mut right, link, batch.expect("it had a change to give"));
    let [Effect::Send { frame, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let answer = frame.clone();
    assert_not_believed([left, right], link, answer);
}
