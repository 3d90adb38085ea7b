//! The ledger of a run: what links and nodes said, entered into accounts, told to the trace and summed up.

use crate::expect::{Expectation, expectation, honest_model};
use crate::link::{End, LinkAccount, LinkRecord, LinkSays, Tally};
use crate::run::RunError;
use crate::summary::{
    AlarmSummary, Contribution, EventSummary, ExpectedSummary, LinkSummary, NodeSummary, PublishedSummary,
    RunIdentity, SCHEMA, Summary, Totals,
};
use crate::trace::{TraceEvent, TraceRecord};
use crate::world::{LinkNews, World};
use crate::{budget, words};
use bellwether_network::{Detail, Link, Network};
use bellwether_protocol::hardware::Basis;
use bellwether_protocol::keys::LinkCondition;
use bellwether_protocol::qkd::alarm::Trust;
use bellwether_protocol::qkd::security::repeaterless_bound;
use bellwether_units::{Duration, LinkId, Time};
use std::collections::BTreeMap;

/// How many points a curve has, unless the network file says otherwise.
const POINTS: u64 = 200;
/// How many points a curve may have, and how many all curves together: what is reported more often than that is
/// summed up in wider bins.
const MOST_POINTS: u64 = 100_000;
const MOST_POINTS_IN_ALL: u64 = 1_000_000;
/// How many lines of alarms one link may have of one kind: those that follow the last are counted there.
const MOST_ALARM_LINES: u64 = 1_000;

/// The ledger of a run.
pub(crate) struct Ledger<'a> {
    network: &'a Network,
    seed: u64,
    duration: Duration,
    bin: Duration,
    next_bin: u64,
    accounts: Vec<LinkAccount>,
    expected: Vec<Expectation>,
    alarms: Vec<AlarmSummary>,
    /// The last line for each link and kind.
    latest_alarm: BTreeMap<(LinkId, String), Latest>,
    /// How many of the network's events have been told.
    told: usize,
    /// Whether the key of each link may be used, as its alarms say.
    trust: Vec<Trust>,
}

/// The last line of alarms of one link and kind.
#[derive(Clone, Copy, Default)]
struct Latest {
    /// Its place among all lines.
    place: usize,
    /// How many lines there are of this link and kind.
    lines: u64,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(network: &'a Network, seed: u64, duration: Duration) -> Result<Self, RunError> {
        let (bin, bins) = bins_of(network, duration);
        let expected = (0..network.links.len())
            .map(|place| expectation(network, LinkId(place as u32)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            network,
            seed,
            duration,
            bin,
            next_bin: 0,
            accounts: network.links.iter().map(|_| LinkAccount::new(bin, bins)).collect(),
            expected,
            alarms: Vec::new(),
            latest_alarm: BTreeMap::new(),
            told: 0,
            trust: vec![Trust::default(); network.links.len()],
        })
    }

    /// Opens the trace.
    pub(crate) fn begin(&self, records: &mut Vec<TraceRecord>) {
        records.push(TraceRecord {
            at_ps: 0,
            event: TraceEvent::RunStarted {
                network: self.network.name.clone(),
                sha256: self.network.identity.sha256.clone(),
                seed: self.seed,
            },
        });
    }

    /// Closes the trace.
    pub(crate) fn end(&self, now: Time, partial: bool, records: &mut Vec<TraceRecord>) {
        records.push(TraceRecord { at_ps: now.picoseconds(), event: TraceEvent::RunEnded { partial } });
    }

    /// Enters what links said, in order, and hands their key and condition to the nodes.
    pub(crate) fn enter(
        &mut self,
        said: Vec<(LinkId, LinkRecord)>,
        world: &mut World<'_>,
        records: &mut Vec<TraceRecord>,
    ) {
        for (id, LinkRecord { at, what }) in said {
            let link = self.network.link(id);
            let ends = [link.transmitter_at, link.receiver_at];
            match what {
                LinkSays::Key(end, block, key) => {
                    let node = if end == End::Transmitter { ends[0] } else { ends[1] };
                    world.tell(at, id, node, LinkNews::Key(block, key));
                }
                LinkSays::Block(block) => {
                    self.accounts[id.index()].enter(at, &block);
                    if self.trust[id.index()].block(at, block.certificate.is_some()) {
                        for node in ends {
                            world.tell(at, id, node, LinkNews::Condition(LinkCondition::Up));
                        }
                    }
                    records.push(TraceRecord {
                        at_ps: at.picoseconds(),
                        event: words::block(&link.name, &block),
                    });
                }
                LinkSays::Alarm { kind, text, suspect } => {
                    if suspect {
                        self.trust[id.index()].mark(at);
                        for node in ends {
                            world.tell(at, id, node, LinkNews::Condition(LinkCondition::Alarmed));
                        }
                    }
                    let event =
                        TraceEvent::Alarm { link: link.name.clone(), kind: kind.clone(), text: text.clone() };
                    records.push(TraceRecord { at_ps: at.picoseconds(), event });
                    self.note_alarm(id, at, kind, text);
                }
            }
        }
    }

    /// Alarms of one kind that follow each other on a link are one line of the summary.
    fn note_alarm(&mut self, id: LinkId, at: Time, kind: String, text: String) {
        self.accounts[id.index()].alarms += 1;
        let name = &self.network.link(id).name;
        let recent = Duration::from_whole_seconds(60).max(self.bin * 2).seconds();
        let latest = self.latest_alarm.entry((id, kind.clone())).or_default();
        if latest.lines > 0 {
            let line = &mut self.alarms[latest.place];
            if at.seconds() - line.last_s <= recent || latest.lines >= MOST_ALARM_LINES {
                line.count += 1;
                line.last_s = at.seconds();
                return;
            }
        }
        *latest = Latest { place: self.alarms.len(), lines: latest.lines + 1 };
        self.alarms.push(AlarmSummary {
            at_s: at.seconds(),
            last_s: at.seconds(),
            count: 1,
            link: name.clone(),
            kind,
            text,
        });
    }

    fn tell_events(&mut self, now: Time, records: &mut Vec<TraceRecord>) {
        while let Some(event) = self.network.events.get(self.told).filter(|event| event.at <= now) {
            let (target, text) = (words::target(self.network, event), words::event(event));
            let at_ps = event.at.picoseconds();
            records.push(TraceRecord { at_ps, event: TraceEvent::Scheduled { target, text } });
            self.told += 1;
        }
    }

    /// Lets the nodes happen up to `now`, and notes the pools at the end of each bin.
    pub(crate) fn advance(&mut self, world: &mut World<'_>, now: Time, records: &mut Vec<TraceRecord>) {
        loop {
            let border = Time::ZERO.saturating_add(self.bin.saturating_mul(self.next_bin + 1));
            if border > now {
                break;
            }
            world.advance(border, records);
            for (place, account) in self.accounts.iter_mut().enumerate() {
                account.note_pool(self.next_bin as usize, pool_bits(world, LinkId(place as u32)));
            }
            self.next_bin += 1;
        }
        world.advance(now, records);
        self.tell_events(now, records);
    }

    /// Sums everything up.
    pub(crate) fn summary(
        &self,
        world: &World<'_>,
        tallies: &[Tally],
        now: Time,
        partial: bool,
    ) -> Result<Summary, RunError> {
        let network = self.network;
        let links = network
            .links
            .iter()
            .enumerate()
            .map(|(place, link)| self.link_summary(world, place, link, tallies[place], now))
            .collect::<Result<Vec<_>, _>>()?;
        let demands = world.served().summaries(network, now);
        let totals = Totals {
            pulses: tallies.iter().map(|tally| tally.pulses).sum(),
            clicks: tallies.iter().map(|tally| tally.clicks).sum(),
            sifted_bits: links.iter().map(|link| link.sifted_bits).sum(),
            secret_bits: links.iter().map(|link| link.secret_bits).sum(),
            keys_requested: demands.iter().map(|demand| demand.requested).sum(),
            keys_delivered: demands.iter().map(|demand| demand.delivered).sum(),
            keys_refused: demands.iter().flat_map(|d| &d.refused).map(|count| count.count).sum(),
            keys_mismatched: world.served().mismatched(),
            alarms: self.accounts.iter().map(|account| account.alarms).sum(),
        };
        Ok(Summary {
            schema: SCHEMA.to_owned(),
            run: RunIdentity {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                network: network.name.clone(),
                file: network.identity.file.clone(),
                sha256: network.identity.sha256.clone(),
                overrides: network.identity.overrides.clone(),
                seed: self.seed,
                duration_s: self.duration.seconds(),
                simulated_s: now.seconds(),
                partial,
                assumptions: words::assumptions(network),
            },
            nodes: network
                .nodes
                .iter()
                .map(|node| NodeSummary {
                    name: node.name.clone(),
                    role: words::role(node.role).to_owned(),
                    latitude_deg: node.position.map(|p| p.latitude.radians().to_degrees()),
                    longitude_deg: node.position.map(|p| p.longitude.radians().to_degrees()),
                })
                .collect(),
            links,
            demands,
            entanglement: None,
            alarms: self.alarms.clone(),
            events: network
                .events
                .iter()
                .filter(|event| event.at <= now)
                .map(|event| EventSummary {
                    at_s: event.at.seconds(),
                    until_s: event.until.map(Time::seconds),
                    target: words::target(network, event),
                    kind: event.kind.name().to_owned(),
                    text: words::event(event),
                })
                .collect(),
            totals,
        })
    }

    fn link_summary(
        &self,
        world: &World<'_>,
        place: usize,
        link: &Link,
        tally: Tally,
        now: Time,
    ) -> Result<LinkSummary, RunError> {
        let account = &self.accounts[place];
        let expected = &self.expected[place];
        let seconds = now.seconds().max(1e-12);
        let published = link.published.as_ref().map(|published| PublishedSummary {
            secret_rate_per_s: published.secret_rate.map(|rate| rate.per_second()),
            qber: published.qber,
            source: published.source.clone(),
            evidence: published.evidence.name().to_owned(),
            fitted: published.fitted.as_ref().map(|f| format!("{}: {}", f.parameter, f.reason)),
        });
        let error_budget: Vec<Contribution> = budget::errors(link, &honest_model(link)?);
        Ok(LinkSummary {
            name: link.name.clone(),
            transmitter: self.network.node(link.transmitter_at).name.clone(),
            receiver: self.network.node(link.receiver_at).name.clone(),
            detail: match link.detail {
                Detail::Bits => "bits",
                Detail::Blocks => "blocks",
            }
            .to_owned(),
            length_km: link.fibre.length.kilometres(),
            loss_db: link.fibre.loss().decibels(),
            pulses: tally.pulses,
            clicks: tally.clicks,
            sifted_bits: tally.key_sifted,
            sifted_rate_per_s: tally.key_sifted as f64 / seconds,
            qber_key: account.qber(Basis::Key),
            qber_check: account.qber(Basis::Check),
            secret_bits: account.secret_bits,
            secret_rate_per_s: account.secret_bits as f64 / seconds,
            set_aside_bits: account.set_aside_bits,
            gross_secret_rate_per_s: (account.secret_bits + account.set_aside_bits) as f64 / seconds,
            secret_bits_per_pulse: account.secret_bits as f64 / tally.pulses.max(1) as f64,
            repeaterless_bound_per_pulse: repeaterless_bound(link.fibre.loss().transmittance()),
            pool_bits: pool_bits(world, LinkId(place as u32)),
            blocks: account.blocks,
            discarded: account.discarded(),
            leaked_bits: account.leaked_bits,
            reconciliation_efficiency: account.efficiency(),
            round_trips_per_block: account.round_trips_per_block(),
            authentication_bits: account.authentication_bits,
            epsilon_total: account.epsilon_total(),
            expected: Some(ExpectedSummary {
                sifted_rate_per_s: expected.sifted_rate_per_s,
                qber_key: expected.qber_key,
                qber_check: expected.qber_check,
                secret_rate_per_s: expected.secret_rate_per_s,
                gross_secret_rate_per_s: expected.gross_secret_rate_per_s,
                block_s: expected.block_s,
            }),
            published,
            note: Some(link.note.clone()).filter(|note| !note.is_empty()),
            error_budget,
            key_budget: account.key_budget(tally),
            series: account.series(now),
        })
    }
}

/// The width of a bin, a whole multiple of the interval that is asked for, and how many there are.
fn bins_of(network: &Network, duration: Duration) -> (Duration, usize) {
    let asked = network.run.report_interval.unwrap_or(duration / POINTS).max(Duration::from_picoseconds(1));
    let most = (MOST_POINTS_IN_ALL / network.links.len().max(1) as u64).clamp(POINTS, MOST_POINTS);
    let wanted = duration.picoseconds().div_ceil(asked.picoseconds());
    let bin = asked.saturating_mul(wanted.div_ceil(most).max(1));
    (bin, duration.picoseconds().div_ceil(bin.picoseconds()) as usize)
}

fn pool_bits(world: &World<'_>, link: LinkId) -> u64 {
    world.pool(link).map_or(0, |pool| pool.outgoing + pool.incoming + pool.unconfirmed)
}
