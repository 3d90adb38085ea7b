//! Finds how many columns of which degree make a good code: `ROWS LINKS SECONDS`, rows of a base matrix of 256 columns,
//! links a column in the mean, and how long to look. Prints an entry of the table of profiles, and the efficiency at
//! which density evolution still converges within some 130 iterations.
//!
//! From a template, edges are moved along the gradient of the number of iterations, then between three degrees drawn by
//! lot, under three constraints: as many links as asked, 256 columns, and fewer columns of degree 2 than rows. When
//! few iterations are left, the error rate is raised. How far it gets depends on the time it is given.

use bellwether_protocol::qkd::reconcile::ldpc::evolution::{Course, Evolution};
use bellwether_units::{EntityId, Purpose, Stream};
use std::time::{Duration, Instant};

const COLUMNS: f64 = 256.0;
const TARGET: f64 = 130.0;

struct Search {
    evolution: Evolution,
    checks: Vec<(usize, f64)>,
    shares: Vec<(usize, f64)>,
    most_twos: f64,
    error_rate: f64,
    course: Course,
}

impl Search {
    fn new(rows: f64, links: f64) -> Option<Self> {
        let weight = links * COLUMNS / rows;
        let (low, part) = (weight.floor(), weight.fract());
        let mut checks = vec![(low as usize, (1.0 - part) * low / weight)];
        if part > 0.0 {
            checks.push((low as usize + 1, part * (low + 1.0) / weight));
        }
        let most = rows.min(if rows < 110.0 { 40.0 } else { 50.0 }) as usize;
        let degrees: Vec<usize> =
            [2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50].into_iter().filter(|&d| d <= most).collect();
        let mut search = Self {
            evolution: Evolution::new(0.1, 250),
            checks,
            shares: template(rows, links, &degrees)?,
            most_twos: 2.0 * (rows - 1.0) / (links * COLUMNS),
            error_rate: 0.8 * shannon(rows / COLUMNS),
            course: Course::default(),
        };
        while search.course.iterations.is_none() {
            search.error_rate *= 0.98;
            search.course = search.run(search.error_rate, &search.shares, 300);
        }
        Some(search)
    }

    fn run(&self, error_rate: f64, shares: &[(usize, f64)], most: usize) -> Course {
        self.evolution.run(error_rate, shares, &self.checks, most)
    }

    /// Raises the error rate while that leaves iterations near the target. False if it cannot be raised.
    fn raise(&mut self) -> bool {
        let mut step = 0.02;
        while step > 1e-4 {
            let error_rate = self.error_rate * (1.0 + step);
            let course = self.run(error_rate, &self.shares, 600);
            if course.iterations.is_some_and(|n| n < 1.5 * TARGET) {
                (self.error_rate, self.course) = (error_rate, course);
                return true;
            }
            step *= 0.5;
        }
        false
    }

    /// Takes `shares` if they need fewer iterations.
    fn attempt(&mut self, shares: Vec<(usize, f64)>) -> bool {
        let now = self.course.iterations.unwrap_or(f64::MAX);
        if shares[0].1 > self.most_twos + 1e-12 || shares.iter().any(|share| share.1 < -1e-12) {
            return false;
        }
        let course = self.run(self.error_rate, &shares, now.min(600.0) as usize + 2);
        let better = course.iterations.is_some_and(|n| n < now);
        if better {
            (self.shares, self.course) = (shares, course);
        }
        better
    }

    /// One step of length `length` along the gradient.
    fn descend(&mut self, length: f64) -> bool {
        let mut gradient = vec![0.0; self.shares.len()];
        for (pair, by_degree) in self.course.errors.windows(2).zip(&self.course.by_degree) {
            for (sum, wrong) in gradient.iter_mut().zip(by_degree) {
                *sum += wrong / (pair[1] * (pair[0] / pair[1]).ln().max(1e-6));
            }
        }
        let direction = self.project(&gradient);
        let norm = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm < 1e-12 {
            return false;
        }
        let mut scale = length / norm;
        for (&x, &(_, share)) in direction.iter().zip(&self.shares) {
            if x < 0.0 {
                scale = scale.min(share / -x);
            }
        }
        if direction[0] > 0.0 {
            scale = scale.min((self.most_twos - self.shares[0].1) / direction[0]);
        }
        let moved =
            self.shares.iter().zip(&direction).map(|(&(d, share), x)| (d, (share + scale * x).max(0.0)));
        let moved = moved.collect();
        self.attempt(moved)
    }

    /// Against the gradient, as far as that keeps edges and columns and leaves no share that is at a limit further out.
    fn project(&self, gradient: &[f64]) -> Vec<f64> {
        let mut free = vec![true; gradient.len()];
        loop {
            let (mut s, mut sx, mut sxx, mut g, mut gx) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for (index, &(degree, _)) in self.shares.iter().enumerate().filter(|(index, _)| free[*index]) {
                let x = 1.0 / degree as f64;
                (s, sx, sxx) = (s + 1.0, sx + x, sxx + x * x);
                (g, gx) = (g - gradient[index], gx - gradient[index] * x);
            }
            let determinant = s * sxx - sx * sx;
            if determinant.abs() < 1e-14 {
                return vec![0.0; gradient.len()];
            }
            let (a, b) = ((g * sxx - gx * sx) / determinant, (gx * s - g * sx) / determinant);
            let along = |index: usize| -gradient[index] - a - b / self.shares[index].0 as f64;
            let direction: Vec<f64> =
                (0..gradient.len()).map(|index| if free[index] { along(index) } else { 0.0 }).collect();
            let stuck = (0..gradient.len()).filter(|&index| {
                let (share, x) = (self.shares[index].1, direction[index]);
                share <= 1e-9 && x < 0.0 || index == 0 && share >= self.most_twos - 1e-9 && x > 0.0
            });
            let stuck: Vec<usize> = stuck.collect();
            if stuck.is_empty() {
                return direction;
            }
            for index in stuck {
                free[index] = false;
            }
        }
    }

    /// Moves edges between three degrees.
    fn swap(&mut self, size: f64, stream: &mut Stream) -> bool {
        let mut draw = || (stream.uniform() * self.shares.len() as f64) as usize;
        let mut picked = [draw(), draw(), draw()];
        picked.sort_unstable();
        if picked[0] == picked[1] || picked[1] == picked[2] {
            return false;
        }
        let x = picked.map(|index| 1.0 / self.shares[index].0 as f64);
        let mut change = [x[1] - x[2], x[2] - x[0], x[0] - x[1]];
        let norm = change.iter().map(|y| y * y).sum::<f64>().sqrt();
        let sign = if stream.chance(0.5) { 1.0 } else { -1.0 };
        let length = sign * size * (0.2 + stream.uniform()) / norm;
        change.iter_mut().for_each(|y| *y *= length);
        let limits = picked.iter().zip(&change).filter(|(_, y)| **y < 0.0);
        let scale = limits.map(|(&index, y)| self.shares[index].1 / -y).fold(1.0, f64::min);
        let mut shares = self.shares.clone();
        for (&index, y) in picked.iter().zip(&change) {
            shares[index].1 = (shares[index].1 + scale * y).max(0.0);
        }
        scale > 1e-3 && self.attempt(shares)
    }
}

/// Columns of degree 2, some of degrees 8 to 12, and of the least and the largest other degree what gives the links.
fn template(rows: f64, links: f64, degrees: &[usize]) -> Option<Vec<(usize, f64)>> {
    let largest = *degrees.last()? as f64;
    let mut middle = 1.0;
    while middle > 0.01 {
        let count = |degree: usize| match degree {
            2 => 0.97 * (rows - 1.0).min(90.0),
            8 => 26.0 * middle,
            10 => 22.0 * middle,
            12 => 10.0 * middle,
            _ => 0.0,
        };
        let mut counts: Vec<(usize, f64)> = degrees.iter().map(|&degree| (degree, count(degree))).collect();
        let left = COLUMNS - counts.iter().map(|c| c.1).sum::<f64>();
        let edges = links * COLUMNS - counts.iter().map(|c| c.0 as f64 * c.1).sum::<f64>();
        let heavy = (edges - 3.0 * left) / (largest - 3.0);
        if heavy > 0.0 && left > heavy {
            counts[1].1 += left - heavy;
            counts.last_mut()?.1 += heavy;
            return Some(counts.into_iter().map(|(d, n)| (d, n * d as f64 / (links * COLUMNS))).collect());
        }
        middle *= 0.7;
    }
    None
}

fn entropy(p: f64) -> f64 {
    -p * p.log2() - (1.0 - p) * (1.0 - p).log2()
}

/// The error rate whose entropy is `share`.
fn shannon(share: f64) -> f64 {
    let (mut low, mut high) = (1e-9, 0.5);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if entropy(middle) < share { low = middle } else { high = middle }
    }
    low
}

/// Columns by degree, as whole numbers that add up to all columns.
fn counts(search: &Search, rows: usize) -> Vec<(usize, usize)> {
    let nodes: f64 = search.shares.iter().map(|&(d, share)| share / d as f64).sum();
    let exact = search.shares.iter().map(|&(d, share)| (d, share / d as f64 / nodes * COLUMNS));
    let (mut sum, mut taken) = (0.0, 0);
    let mut counts: Vec<(usize, usize)> = exact
        .map(|(degree, count)| {
            sum += count;
            let count = sum.round() as usize - taken;
            taken += count;
            (degree, count)
        })
        .collect();
    let surplus = counts[0].1.saturating_sub(rows - 1);
    counts[0].1 -= surplus;
    counts[1].1 += surplus;
    counts.retain(|&(_, count)| count > 0);
    counts
}

#[allow(clippy::disallowed_methods, reason = "the search ends by the clock")]
fn main() {
    let arguments: Vec<f64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let &[rows, links, seconds] = &arguments[..] else {
        eprintln!("usage: ldpc_degrees ROWS LINKS SECONDS, such as 40 6.8 60");
        std::process::exit(2);
    };
    let Some(mut search) = Search::new(rows, links) else {
        eprintln!("no columns of degrees 2 to {rows} have {links} links in the mean");
        std::process::exit(1);
    };
    let mut stream = Stream::new(1, EntityId(0), Purpose::named("degrees"));
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let (mut length, mut size, mut misses) = (0.05, 0.03, 0);
    while Instant::now() < end && size > 1e-3 {
        if search.course.iterations.is_some_and(|n| n < TARGET) {
            if !search.raise() {
                break;
            }
            (length, size, misses) = (0.05, 0.03, 0);
        } else if length > 2e-3 {
            length *= if search.descend(length) { 1.5 } else { 0.5 };
        } else if search.swap(size, &mut stream) {
            misses = 0;
        } else {
            misses += 1;
            if misses > 25 {
                (size, misses) = (0.5 * size, 0);
            }
        }
    }
    let entries: Vec<String> =
        counts(&search, rows as usize).iter().map(|pair| format!("{pair:?}")).collect();
    println!("({rows}, &[{}]),", entries.join(", "));
    println!(
        "converges at {:.5} in {:.0} iterations: f {:.4}",
        search.error_rate,
        search.course.iterations.unwrap_or(f64::NAN),
        rows / COLUMNS / entropy(search.error_rate)
    );
}
