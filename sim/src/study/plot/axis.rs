//! Axes: from values to places, and where the numbers stand.

#[derive(Clone, Debug)]
pub struct Axis {
    low: f64,
    high: f64,
    log: bool,
    /// The place of `low` and that of `high`, in pixels.
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis that shows all of `values`, from the pixel `from` to the pixel `to`. Unless it is logarithmic and unless `tight`, it
    /// shows zero.
    pub fn new(values: impl Iterator<Item = f64> + Clone, log: bool, tight: bool, (from, to): (i32, i32)) -> Axis {
        let shown = values.filter(|value| value.is_finite() && (!log || *value > 0.0));
        let (mut low, mut high) =
            shown.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            (low, high) = (if log { 1.0 } else { 0.0 }, 10.0);
        }
        if !log && !tight {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if log {
            (low, high) = (low / 1.15, high * 1.15);
        } else {
            let room = if high > low { (high - low) * 0.04 } else { 1.0 };
            high += room;
            low -= if tight { room } else { 0.0 };
        }
        Axis { low, high, log, from: f64::from(from), to: f64::from(to) }
    }

    /// Where a value is, in pixels. What a logarithmic axis cannot show is at its end.
    pub fn place(&self, value: f64) -> i32 {
        let share = match self.log {
            true => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        (self.from + share * (self.to - self.from)).round() as i32
    }

    /// Where numbers stand: about `count` of them.
    pub fn ticks(&self, count: f64) -> Vec<f64> {
        if self.log {
            let decades = (self.high / self.low).log10();
            let steps: &[f64] = if decades > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let powers = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            let all = powers.flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
            return all.filter(|tick| (self.low..=self.high).contains(tick)).collect();
        }
        let rough = (self.high - self.low) / count;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let ticks = (self.low / step).ceil() as i64..=(self.high / step).floor() as i64;
        ticks.map(|tick| tick as f64 * step).collect()
    }
}

/// A number as it is written beside an axis.
pub fn written(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => return "0".to_owned(),
        _ if size >= 1e6 => return format!("{} M", written(value / 1e6)),
        _ if size >= 1e4 => return format!("{} k", written(value / 1e3)),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.3}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_round() {
        let written_ticks = |values: &[f64], log| {
            let ticks = Axis::new(values.iter().copied(), log, false, (0, 100)).ticks(5.0);
            ticks.into_iter().map(written).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(written_ticks(&[3.0, 97.0], false), "0 50 100");
        assert_eq!(written_ticks(&[0.0, 0.4], false), "0 0.1 0.2 0.3 0.4");
        assert_eq!(written_ticks(&[2.0, 64.0], true), "2 5 10 20 50");
        assert_eq!(written(25_000.0), "25 k");
        assert_eq!(written_ticks(&[], true), "1 2 5 10");
    }

    #[test]
    fn places_follow_values() {
        let axis = Axis::new([1.0, 100.0].into_iter(), true, false, (0, 1_000));
        assert!(axis.place(1.0) < axis.place(10.0) && axis.place(10.0) == 500);
    }
}
