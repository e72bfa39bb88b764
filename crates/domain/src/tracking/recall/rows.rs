//! The opened runs of one experiment, packed: names once, values side by side.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use crate::{
    gate::Row,
    tracking::{DatasetInput, Point, Run, RunLinks, metric::Heads, search::ENTRY},
};

/// What tells a run's rows within its experiment: the second half of their id.
pub(super) type Key = [u8; 16];

/// Which row beside the run's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Table {
    Runs,
    Heads,
    Links,
}

/// Names of metrics, parameters and tags, each kept once.
#[derive(Default)]
pub(in crate::tracking) struct Names {
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
    /// Sets of names that runs share.
    shapes: HashSet<Arc<[u32]>>,
    bytes: usize,
}

impl Names {
    /// The number of a name; none when no run has anything of that name.
    pub(in crate::tracking) fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    fn intern(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let (number, name) = (u32::try_from(self.names.len()).unwrap_or(u32::MAX), Arc::<str>::from(name));
        self.bytes = self.bytes.saturating_add(name.len()).saturating_add(ENTRY);
        self.numbers.insert(Arc::clone(&name), number);
        self.names.push(name);
        number
    }

    fn name(&self, number: u32) -> String {
        let name = usize::try_from(number).ok().and_then(|at| self.names.get(at));
        name.map(|name| name.to_string()).unwrap_or_default()
    }

    /// The shared copy of a set of names.
    fn shape(&mut self, numbers: Vec<u32>, rows: usize) -> Arc<[u32]> {
        if let Some(known) = self.shapes.get(numbers.as_slice()) {
            return Arc::clone(known);
        }
        if self.shapes.len() > rows.max(64) {
            self.shapes.retain(|shape| Arc::strong_count(shape) > 1);
            self.bytes = self.names.iter().map(|name| name.len().saturating_add(ENTRY)).sum();
            self.bytes = self.shapes.iter().fold(self.bytes, |sum, shape| sum.saturating_add(shape_size(shape)));
        }
        let shape: Arc<[u32]> = numbers.into();
        self.bytes = self.bytes.saturating_add(shape_size(&shape));
        self.shapes.insert(Arc::clone(&shape));
        shape
    }
}

fn shape_size(shape: &[u32]) -> usize {
    size_of_val(shape).saturating_add(ENTRY)
}

/// Texts by name. The numbers of the names are sorted.
#[derive(Clone)]
struct Labels {
    names: Arc<[u32]>,
    /// Where each text ends.
    ends: Box<[u32]>,
    text: Box<str>,
}

impl Labels {
    fn of(texts: BTreeMap<String, String>, names: &mut Names, rows: usize) -> Self {
        let mut numbered: Vec<(u32, String)> =
            texts.into_iter().map(|(key, value)| (names.intern(&key), value)).collect();
        numbered.sort_unstable_by_key(|(number, _)| *number);
        let (mut text, mut ends) = (String::new(), Vec::with_capacity(numbered.len()));
        let mut numbers = Vec::with_capacity(numbered.len());
        for (number, value) in numbered {
            text.push_str(&value);
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
            numbers.push(number);
        }
        Self { names: names.shape(numbers, rows), ends: ends.into(), text: text.into() }
    }

    fn at(&self, at: usize) -> &str {
        let place = |end: &u32| usize::try_from(*end).unwrap_or(usize::MAX);
        let from = at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, place);
        self.ends.get(at).and_then(|end| self.text.get(from..place(end))).unwrap_or_default()
    }

    fn get(&self, name: u32) -> Option<&str> {
        self.names.binary_search(&name).ok().map(|at| self.at(at))
    }

    fn unpack(&self, names: &Names) -> BTreeMap<String, String> {
        let texts = self.names.iter().enumerate();
        texts.map(|(at, name)| (names.name(*name), self.at(at).to_owned())).collect()
    }

    fn bytes(&self) -> usize {
        self.text.len().saturating_add(size_of_val(self.ends.as_ref()))
    }
}

/// Latest values by name. The numbers of the names are sorted.
#[derive(Clone)]
struct Values {
    names: Arc<[u32]>,
    values: Box<[f64]>,
    /// Step and time of each.
    places: Box<[(i64, i64)]>,
}

/// What a filter may ask of a data set.
#[derive(Clone)]
pub(in crate::tracking) struct DatasetName {
    pub(in crate::tracking) name: Box<str>,
    pub(in crate::tracking) digest: Box<str>,
    pub(in crate::tracking) context: Option<Box<str>>,
}

impl DatasetName {
    fn of(dataset: &DatasetInput) -> Self {
        let context = dataset.context().map(Box::from);
        Self { name: dataset.name.as_str().into(), digest: dataset.digest.as_str().into(), context }
    }

    fn bytes(&self) -> usize {
        [self.name.len(), self.digest.len(), self.context.as_ref().map_or(0, |text| text.len()), ENTRY].iter().sum()
    }
}

/// An opened run.
#[derive(Clone)]
pub(in crate::tracking) struct Kept {
    /// All but what is packed below: experiment, parameters and tags are empty.
    pub(in crate::tracking) run: Run,
    params: Labels,
    tags: Labels,
    metrics: Option<Values>,
    pub(in crate::tracking) datasets: Box<[DatasetName]>,
    /// Bytes of its data sets, which are not all kept; none when the run has no such row.
    links: Option<usize>,
    /// Of the run's row and of the two beside it; zero for one that is not there.
    marks: [u64; 3],
    key: Key,
}

impl Kept {
    pub(in crate::tracking) fn metric(&self, name: u32) -> Option<f64> {
        let metrics = self.metrics.as_ref()?;
        metrics.names.binary_search(&name).ok().and_then(|at| metrics.values.get(at)).copied()
    }

    pub(in crate::tracking) fn param(&self, name: u32) -> Option<&str> {
        self.params.get(name)
    }

    pub(in crate::tracking) fn tag(&self, name: u32) -> Option<&str> {
        self.tags.get(name)
    }

    /// Whether the run has data sets or models.
    pub(in crate::tracking) fn has_links(&self) -> bool {
        self.links.is_some()
    }

    /// About how many bytes it takes with all that lies beside it, opened.
    pub(in crate::tracking) fn size(&self) -> usize {
        let names = |names: &[u32]| names.len().saturating_mul(ENTRY.saturating_mul(2));
        let metrics = self.metrics.as_ref().map_or(0, |metrics| names(&metrics.names));
        let labels = [&self.params, &self.tags].map(|labels| labels.text.len().saturating_add(names(&labels.names)));
        labels.iter().fold(metrics, |sum, size| sum.saturating_add(*size)).saturating_add(self.links.unwrap_or(0))
    }

    /// The run and its metrics, as they were read.
    pub(in crate::tracking) fn unpack(&self, experiment: &str, names: &Names) -> (Run, BTreeMap<String, Point>) {
        let run = Run {
            experiment: experiment.to_owned(),
            params: self.params.unpack(names),
            tags: self.tags.unpack(names),
            ..self.run.clone()
        };
        let metrics = self.metrics.iter().flat_map(|metrics| {
            let points = metrics.values.iter().zip(&metrics.places);
            metrics.names.iter().zip(points).map(|(name, (value, (step, timestamp)))| {
                (names.name(*name), Point { step: *step, timestamp: *timestamp, value: *value })
            })
        });
        (run, metrics.collect())
    }

    fn bytes(&self) -> usize {
        let metrics = self.metrics.as_ref().map_or(0, |metrics| {
            size_of_val(metrics.values.as_ref()).saturating_add(size_of_val(metrics.places.as_ref()))
        });
        let texts = [&self.run.name, &self.run.user].iter().fold(ENTRY, |sum, text| sum.saturating_add(text.len()));
        let datasets = self.datasets.iter().fold(0, |sum: usize, one| sum.saturating_add(one.bytes()));
        // The index and the pointer to it.
        let beside = size_of::<(Key, usize)>().saturating_add(ENTRY);
        [size_of::<Self>(), beside, self.params.bytes(), self.tags.bytes(), metrics, texts, datasets].iter().sum()
    }
}

/// The opened runs of one experiment.
#[derive(Default)]
pub(in crate::tracking) struct Rows {
    pub(in crate::tracking) names: Names,
    pub(in crate::tracking) rows: Vec<Arc<Kept>>,
    places: HashMap<Key, usize>,
    bytes: usize,
}

impl Rows {
    /// About how many bytes all of it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.saturating_add(self.names.bytes)
    }

    /// The mark under which a row was read; zero when it was not.
    pub(super) fn mark(&self, table: Table, key: &Key) -> u64 {
        let kept = self.places.get(key).and_then(|at| self.rows.get(*at));
        kept.map_or(0, |kept| kept.marks.get(slot(table)).copied().unwrap_or(0))
    }

    /// All that have a row in this table.
    pub(super) fn keys(&self, table: Table) -> HashSet<Key> {
        let has = |kept: &&Arc<Kept>| kept.marks.get(slot(table)).is_some_and(|mark| *mark != 0);
        self.rows.iter().filter(has).map(|kept| kept.key).collect()
    }

    pub(super) fn put_run(&mut self, key: Key, mark: u64, mut row: Row<Run>) {
        let count = self.rows.len();
        let params = Labels::of(std::mem::take(&mut row.value.params), &mut self.names, count);
        let tags = Labels::of(std::mem::take(&mut row.value.tags), &mut self.names, count);
        row.value.experiment = String::new();
        let (run, datasets) = (row.value, Box::default());
        let kept = Kept { run, params, tags, metrics: None, datasets, links: None, marks: [mark, 0, 0], key };
        match self.places.get(&key).and_then(|at| self.rows.get_mut(*at)) {
            None => {
                self.bytes = self.bytes.saturating_add(kept.bytes());
                self.places.insert(key, count);
                self.rows.push(Arc::new(kept));
            }
            Some(held) => {
                let [_, heads, links] = held.marks;
                let (metrics, datasets) = (held.metrics.clone(), held.datasets.clone());
                let kept = Kept { metrics, datasets, links: held.links, marks: [mark, heads, links], ..kept };
                self.bytes = self.bytes.saturating_sub(held.bytes()).saturating_add(kept.bytes());
                *held = Arc::new(kept);
            }
        }
    }

    /// The latest values of a run; none when it has no such row any more. A run that is not there is read with its own row.
    pub(super) fn put_heads(&mut self, key: &Key, mark: u64, heads: Option<Heads>) {
        let count = self.rows.len();
        let values = heads.map(|heads| {
            let mut all: Vec<(u32, Point)> =
                heads.metrics.iter().map(|(key, head)| (self.names.intern(key), head.latest)).collect();
            all.sort_unstable_by_key(|(number, _)| *number);
            let numbers = all.iter().map(|(number, _)| *number).collect();
            Values {
                names: self.names.shape(numbers, count),
                values: all.iter().map(|(_, point)| point.value).collect(),
                places: all.iter().map(|(_, point)| (point.step, point.timestamp)).collect(),
            }
        });
        self.change(key, |kept| {
            kept.metrics = values;
            kept.marks[1] = mark;
        });
    }

    /// The same of data sets and models.
    pub(super) fn put_links(&mut self, key: &Key, mark: u64, links: Option<&RunLinks>) {
        self.change(key, |kept| {
            kept.datasets = links.map(|links| links.datasets.iter().map(DatasetName::of).collect()).unwrap_or_default();
            kept.links = links.map(RunLinks::size);
            kept.marks[2] = mark;
        });
    }

    fn change(&mut self, key: &Key, change: impl FnOnce(&mut Kept)) {
        let Some(held) = self.places.get(key).and_then(|at| self.rows.get_mut(*at)) else { return };
        let before = held.bytes();
        change(Arc::make_mut(held));
        self.bytes = self.bytes.saturating_sub(before).saturating_add(held.bytes());
    }

    /// A row that is not there any more.
    pub(super) fn remove(&mut self, table: Table, key: &Key) {
        match table {
            Table::Heads => self.put_heads(key, 0, None),
            Table::Links => self.put_links(key, 0, None),
            Table::Runs => {
                let Some(at) = self.places.remove(key).filter(|at| *at < self.rows.len()) else { return };
                let gone = self.rows.swap_remove(at);
                self.bytes = self.bytes.saturating_sub(gone.bytes());
                if let Some(moved) = self.rows.get(at) {
                    self.places.insert(moved.key, at);
                }
            }
        }
    }
}

fn slot(table: Table) -> usize {
    match table {
        Table::Runs => 0,
        Table::Heads => 1,
        Table::Links => 2,
    }
}
