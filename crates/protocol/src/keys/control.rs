//! Short messages between the two ends of a key: handed on hop by hop without state on the way.
//!
//! What matters carries a secret token that came with the key itself, 64 bits that only a node that saw the key
//! can know. The rest can only make a key be given up.

use super::api::{Failure, KeyId, LinkCondition};
use super::node::{KeyNode, Turn};
use super::routing::cheapest_route;
use super::wire::{Control, Frame, Verdict};
use bellwether_units::{LinkId, NodeId};

impl KeyNode {
    pub(super) fn say(
        &self,
        turn: &mut Turn<'_>,
        key: KeyId,
        share: u8,
        verdict: Verdict,
        token: u64,
        path: Vec<LinkId>,
    ) {
        let Some(to) = path.first().and_then(|&link| self.topology.other_end(link, self.node)) else {
            return;
        };
        turn.send(to, &Frame::Control(Control { key, share, verdict, token, from: self.node, path, hop: 0 }));
    }

    /// A path over links that are not cut, for when the key's own route does not answer.
    pub(super) fn other_path(&self, to: NodeId) -> Option<Vec<LinkId>> {
        let cost = |link, _| (self.condition(link) != LinkCondition::Cut).then_some(1);
        let route = cheapest_route(&self.topology, self.node, to, cost)?;
        (route.links.len() <= self.settings.max_hops).then_some(route.links)
    }

    pub(super) fn hear_control(&mut self, turn: &mut Turn<'_>, peer: NodeId, mut control: Control) {
        let hop = usize::from(control.hop);
        let Some(nodes) = self.topology.nodes_on(control.from, &control.path) else { return };
        if nodes.get(hop) != Some(&peer) || nodes.get(hop + 1) != Some(&self.node) {
            return;
        }
        if let Some(&next) = nodes.get(hop + 2) {
            self.notice_passing(turn, &control);
            control.hop += 1;
            return turn.send(next, &Frame::Control(control));
        }
        let back = || control.path.iter().rev().copied().collect::<Vec<_>>();
        match control.verdict {
            Verdict::Received => self.share_received(turn, &control),
            Verdict::Failed(link, failure) => self.share_failed(turn, &control, link, failure),
            Verdict::Query => self.answer_query(turn, &control, back()),
            Verdict::Commit => self.hear_commit(turn, &control, back()),
            Verdict::Void => self.hear_void(turn, &control, back()),
            Verdict::Done => self.decision_heard(turn, &control),
            Verdict::Lost => self.hear_lost(turn, &control, back()),
        }
    }

    /// Tells the source that a share did not get past this node.
    pub(super) fn say_failed(
        &self,
        turn: &mut Turn<'_>,
        (key, share): (KeyId, u8),
        travelled: &[LinkId],
        link: Option<LinkId>,
        failure: Failure,
    ) {
        let path = travelled.iter().rev().copied().collect();
        self.say(turn, key, share, Verdict::Failed(link, failure), 0, path);
    }
}
