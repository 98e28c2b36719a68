//! Figures as pictures: one drawing for SVG and for PNG, in the colours of Okabe and Ito, which everybody can tell apart, and with
//! different marks for those who see none.

use std::sync::Once;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::IntoDrawingArea;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{Color, DrawingArea, FontStyle, RGBColor, ShapeStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontTransform, IntoFont, TextStyle, register_font};

use super::axis::{Axis, written};
use super::figure::{Figure, Point, Series};

const WIDTH: i32 = 900;
const HEIGHT: i32 = 560;
/// PNGs have so many pixels for one of the drawing, in each direction,
const PNG_SCALE: i32 = 2;
/// and each of those is the mean of so many by so many.
const SMOOTH: i32 = 2;

const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];
const INK: RGBColor = RGBColor(30, 30, 30);
const PALE: RGBColor = RGBColor(95, 95, 95);
const GRID: RGBColor = RGBColor(226, 226, 226);

const FONT: &str = "sans-serif";
/// A part of DejaVu Sans, so that PNGs look the same wherever they are made.
static FONT_FILE: &[u8] = include_bytes!("font/orrery-plot.ttf");

fn prepare_font() {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| {
        if register_font(FONT, FontStyle::Normal, FONT_FILE).is_err() {
            unreachable!("the font is a font");
        }
    });
}

/// The text of an SVG file.
#[must_use]
pub fn svg(figure: &Figure) -> String {
    prepare_font();
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH as u32, HEIGHT as u32)).into_drawing_area();
        let canvas = Canvas { area, scale: 1 };
        canvas.draw(figure);
    }
    text
}

/// The bytes of a PNG file.
#[must_use]
pub fn png(figure: &Figure) -> Vec<u8> {
    prepare_font();
    let scale = PNG_SCALE * SMOOTH;
    let (width, height) = ((WIDTH * scale) as u32, (HEIGHT * scale) as u32);
    let mut pixels = vec![0; width as usize * height as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        let canvas = Canvas { area, scale };
        canvas.draw(figure);
    }
    let (width, height, pixels) = smooth(&pixels, width as usize, height as usize);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().expect("a buffer takes everything");
    writer.write_image_data(&pixels).expect("the picture is as large as it says");
    writer.finish().expect("a buffer takes everything");
    file
}

/// Each pixel is the mean of a square of pixels.
fn smooth(pixels: &[u8], width: usize, height: usize) -> (usize, usize, Vec<u8>) {
    let by = SMOOTH as usize;
    let (wide, high) = (width / by, height / by);
    let mut out = Vec::with_capacity(wide * high * 3);
    for (y, x) in (0..high).flat_map(|y| (0..wide).map(move |x| (y, x))) {
        for channel in 0..3 {
            let of = |dy, dx| u32::from(pixels[((y * by + dy) * width + x * by + dx) * 3 + channel]);
            let sum: u32 = (0..by).flat_map(|dy| (0..by).map(move |dx| of(dy, dx))).sum();
            out.push((sum / (by * by) as u32) as u8);
        }
    }
    (wide, high, out)
}

/// Where a figure is drawn, in units of which a picture has [`WIDTH`] by [`HEIGHT`].
struct Canvas<B: DrawingBackend> {
    area: DrawingArea<B, Shift>,
    scale: i32,
}

/// The frame of the axes.
const LEFT: i32 = 86;
const RIGHT: i32 = 730;
const BOTTOM: i32 = HEIGHT - 92;
/// The places of the legend.
const LEGEND: i32 = RIGHT + 24;

impl<B: DrawingBackend> Canvas<B> {
    fn draw(&self, figure: &Figure) {
        self.area.fill(&RGBColor(255, 255, 255)).unwrap_or_else(|_| broken());
        self.text(&figure.title, (LEFT, 18), 20, &INK, (HPos::Left, VPos::Top));
        let mut top = 46;
        for line in wrap(&figure.question, 108) {
            self.text(&line, (LEFT, top), 13, &PALE, (HPos::Left, VPos::Top));
            top += 18;
        }
        top += 18;
        let right = if figure.by_label.is_empty() { WIDTH - 30 } else { RIGHT };
        let points = || figure.series.iter().flat_map(|series| &series.points);
        let xs = points().map(|point| point.x);
        let x = match figure.categories.len() {
            0 => Axis::new(xs, figure.log_x, !figure.log_x, (LEFT, right)),
            count => Axis::new([-0.45, count as f64 - 0.55].into_iter(), false, true, (LEFT, right)),
        };
        let y =
            Axis::new(points().flat_map(|point| [point.y, point.low, point.high]), figure.log_y, false, (BOTTOM, top));
        self.frame(figure, (&x, &y), top, right);
        let count = figure.series.len();
        for (at, series) in figure.series.iter().enumerate() {
            match figure.bars {
                true => self.bars(series, (&x, &y), (at, count)),
                false => self.lines(series, (&x, &y), at),
            }
        }
        self.legend(figure, top);
        for (at, line) in wrap(&figure.note, 125).iter().enumerate() {
            let below = BOTTOM + 58 + 15 * i32::try_from(at).unwrap_or(0);
            self.text(line, (LEFT, below), 11, &PALE, (HPos::Left, VPos::Top));
        }
        self.area.present().unwrap_or_else(|_| broken());
    }

    fn frame(&self, figure: &Figure, (x, y): (&Axis, &Axis), top: i32, right: i32) {
        for tick in y.ticks(6.0) {
            let at = y.place(tick);
            self.path(&[(LEFT, at), (right, at)], &GRID, 1);
            self.text(&written(tick), (LEFT - 8, at), 12, &INK, (HPos::Right, VPos::Center));
        }
        let categories = figure.categories.iter().enumerate().map(|(at, text)| (at as f64, text.clone()));
        let numbers = x.ticks(8.0).into_iter().map(|tick| (tick, written(tick)));
        let ticks: Vec<(f64, String)> =
            if figure.categories.is_empty() { numbers.collect() } else { categories.collect() };
        for (tick, text) in ticks {
            let at = x.place(tick);
            self.path(&[(at, BOTTOM), (at, BOTTOM + 5)], &INK, 1);
            self.text(&text, (at, BOTTOM + 9), 12, &INK, (HPos::Center, VPos::Top));
        }
        self.path(&[(LEFT, top), (LEFT, BOTTOM), (right, BOTTOM)], &INK, 1);
        let middle = (LEFT + right) / 2;
        self.text(&figure.x_label, (middle, BOTTOM + 30), 14, &INK, (HPos::Center, VPos::Top));
        let style = self.style(14, &INK, (HPos::Center, VPos::Bottom)).transform(FontTransform::Rotate270);
        self.put_text(&figure.y_label, (22, (top + BOTTOM) / 2), style);
    }

    fn lines(&self, series: &Series, (x, y): (&Axis, &Axis), at: usize) {
        let colour = COLOURS[at % COLOURS.len()];
        let low = series.points.iter().map(|point| (x.place(point.x), y.place(point.low)));
        let high = series.points.iter().rev().map(|point| (x.place(point.x), y.place(point.high)));
        self.put(&Polygon::new(self.scaled(low.chain(high)), colour.mix(0.18).filled()));
        let line: Vec<_> = series.points.iter().map(|point| (x.place(point.x), y.place(point.y))).collect();
        self.path(&line, &colour, 2);
        for place in line {
            self.mark(place, &colour, at);
        }
    }

    fn bars(&self, series: &Series, (x, y): (&Axis, &Axis), (at, count): (usize, usize)) {
        let colour = COLOURS[at % COLOURS.len()];
        let width = 0.7 / count as f64;
        for Point { x: place, y: value, low, high } in &series.points {
            let left = place - 0.35 + width * at as f64;
            let (from, to) = (x.place(left + width * 0.06), x.place(left + width * 0.94));
            let corners = self.scaled([(from, y.place(*value)), (to, y.place(0.0))].into_iter());
            self.put(&Rectangle::new([corners[0], corners[1]], colour.filled()));
            let middle = (from + to) / 2;
            self.path(&[(middle, y.place(*low)), (middle, y.place(*high))], &INK, 2);
            for end in [low, high] {
                self.path(&[(middle - 4, y.place(*end)), (middle + 4, y.place(*end))], &INK, 2);
            }
        }
    }

    fn legend(&self, figure: &Figure, top: i32) {
        if figure.by_label.is_empty() {
            return;
        }
        self.text(&figure.by_label, (LEGEND, top), 13, &INK, (HPos::Left, VPos::Top));
        // What is highest on the right stands highest here, too.
        let mut order: Vec<usize> = (0..figure.series.len()).collect();
        if !figure.bars {
            let last = |at: &usize| figure.series[*at].points.last().map_or(f64::MIN, |point| point.y);
            order.sort_by(|a, b| last(b).total_cmp(&last(a)));
        }
        for (row, at) in order.into_iter().enumerate() {
            let colour = COLOURS[at % COLOURS.len()];
            let middle = top + 34 + 22 * i32::try_from(row).unwrap_or(0);
            if figure.bars {
                let corners = self.scaled([(LEGEND + 4, middle - 6), (LEGEND + 18, middle + 6)].into_iter());
                self.put(&Rectangle::new([corners[0], corners[1]], colour.filled()));
            } else {
                self.path(&[(LEGEND, middle), (LEGEND + 24, middle)], &colour, 2);
                self.mark((LEGEND + 12, middle), &colour, at);
            }
            self.text(&figure.series[at].label, (LEGEND + 32, middle), 13, &INK, (HPos::Left, VPos::Center));
        }
    }

    /// A mark of its own for each series.
    fn mark(&self, (x, y): (i32, i32), colour: &RGBColor, at: usize) {
        let corners: &[(i32, i32)] = match at % 4 {
            0 => {
                let place = self.scaled([(x, y)].into_iter())[0];
                return self.put(&Circle::new(place, 4 * self.scale, colour.filled()));
            }
            1 => &[(-4, -4), (4, -4), (4, 4), (-4, 4)],
            2 => &[(0, -5), (5, 4), (-5, 4)],
            _ => &[(0, -6), (6, 0), (0, 6), (-6, 0)],
        };
        let corners = corners.iter().map(|(dx, dy)| (x + dx, y + dy));
        self.put(&Polygon::new(self.scaled(corners), colour.filled()));
    }

    fn path(&self, places: &[(i32, i32)], colour: &RGBColor, width: i32) {
        let style = ShapeStyle { color: colour.to_rgba(), filled: false, stroke_width: (width * self.scale) as u32 };
        self.put(&PathElement::new(self.scaled(places.iter().copied()), style));
    }

    fn text(&self, text: &str, at: (i32, i32), size: i32, colour: &'static RGBColor, anchor: (HPos, VPos)) {
        self.put_text(text, at, self.style(size, colour, anchor));
    }

    fn style(&self, size: i32, colour: &'static RGBColor, (h, v): (HPos, VPos)) -> TextStyle<'static> {
        let style: TextStyle<'static> = (FONT, size * self.scale).into_font().into();
        style.color(colour).pos(Pos::new(h, v))
    }

    fn put_text(&self, text: &str, at: (i32, i32), style: TextStyle<'_>) {
        let place = self.scaled([at].into_iter())[0];
        self.put(&Text::new(text.to_owned(), place, style));
    }

    fn scaled(&self, places: impl Iterator<Item = (i32, i32)>) -> Vec<(i32, i32)> {
        places.map(|(x, y)| (x * self.scale, y * self.scale)).collect()
    }

    fn put<'e, E>(&self, element: &'e E)
    where
        &'e E: plotters::element::PointCollection<'e, (i32, i32)>,
        E: plotters::element::Drawable<B>,
    {
        self.area.draw(element).unwrap_or_else(|_| broken());
    }
}

/// Drawing into memory has nothing that could fail.
fn broken() {
    unreachable!("memory takes every drawing");
}

/// The lines of a text that are at most so many characters long, if its words are.
fn wrap(text: &str, longest: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > longest {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
