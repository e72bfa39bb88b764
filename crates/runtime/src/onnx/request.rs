//! Reads the body of `POST /score` straight into flat tensors: no tree of JSON values in between.
//!
//! `{"data": [[…], …]}` for a model with one input, `{"data": {"name": [[…], …], …}}` for any, and beside it
//! `"outputs": ["name", …]` to choose what the answer holds. Azure's `{"Inputs": {"data": …}}` is read the same way.

use std::cell::Cell;
use std::fmt;

use ort::session::SessionInputValue;
use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::nested::tensor;
use super::signature::{Input, Signature};

/// A body that fits the model.
pub(super) struct Request {
    /// One value per input, in the model's order.
    pub(super) tensors: Vec<SessionInputValue<'static>>,
    /// Positions of the outputs that were asked for; none for the first alone.
    pub(super) outputs: Vec<usize>,
}

/// Reads a body.
///
/// # Errors
/// One sentence that says what is wrong and what was expected.
pub(super) fn parse(signature: &Signature, body: &[u8]) -> Result<Request, String> {
    let reading = Reading { signature, input: Cell::new(None) };
    let mut json = serde_json::Deserializer::from_slice(body);
    let given = Body(&reading).deserialize(&mut json).and_then(|given| json.end().map(|()| given));
    let given = given.map_err(|error| {
        if !error.is_data() {
            return format!("the body is not valid JSON: {error}");
        }
        match reading.input.get().and_then(|at| signature.inputs.get(at)) {
            Some(input) => format!("input {}, but {error}", input.expected()),
            None => format!("{error}; {}", signature.expected()),
        }
    })?;
    let mut tensors = Vec::with_capacity(signature.inputs.len());
    let mut values = given.data.ok_or_else(|| format!("`data` is missing; {}", signature.expected()))?;
    for (value, input) in values.iter_mut().zip(&signature.inputs) {
        tensors.push(value.take().ok_or_else(|| format!("input {} is missing", input.expected()))?);
    }
    let outputs = given.outputs.unwrap_or_default();
    Ok(Request { tensors, outputs })
}

/// What the reader knows on its way through a body.
struct Reading<'s> {
    signature: &'s Signature,
    /// Which input is being read, for the words of an error.
    input: Cell<Option<usize>>,
}

type Values = Vec<Option<SessionInputValue<'static>>>;

#[derive(Default)]
struct Given {
    data: Option<Values>,
    outputs: Option<Vec<usize>>,
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum Field {
    #[serde(rename = "data")]
    Data,
    #[serde(rename = "outputs")]
    Outputs,
    Inputs,
}

struct Body<'r, 's>(&'r Reading<'s>);

impl<'de> DeserializeSeed<'de> for Body<'_, '_> {
    type Value = Given;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Given, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_, '_> {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `data`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        let mut given = Given::default();
        while let Some(field) = map.next_key()? {
            match field {
                Field::Data if given.data.is_some() => return Err(A::Error::duplicate_field("data")),
                Field::Data => given.data = Some(map.next_value_seed(Data(self.0))?),
                Field::Outputs => given.outputs = Some(self.0.outputs(map.next_value()?).map_err(A::Error::custom)?),
                Field::Inputs if given.data.is_some() => return Err(A::Error::duplicate_field("Inputs")),
                Field::Inputs => given.data = map.next_value_seed(Wrapped(self.0))?,
            }
        }
        Ok(given)
    }
}

/// `{"data": …}` once more, inside `Inputs`.
struct Wrapped<'r, 's>(&'r Reading<'s>);

impl<'de> DeserializeSeed<'de> for Wrapped<'_, '_> {
    type Value = Option<Values>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wrapped<'_, '_> {
    type Value = Option<Values>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `data`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "lowercase")]
        enum Field {
            Data,
        }
        let mut data = None;
        while let Some(Field::Data) = map.next_key()? {
            data = Some(map.next_value_seed(Data(self.0))?);
        }
        Ok(data)
    }
}

impl Reading<'_> {
    fn outputs(&self, names: Vec<String>) -> Result<Vec<usize>, String> {
        let known = &self.signature.outputs;
        let mut chosen = Vec::with_capacity(names.len());
        for name in names {
            let at = known.iter().position(|output| output.name == name).ok_or_else(|| {
                let names: Vec<_> = known.iter().map(|output| output.name.as_str()).collect();
                format!("there is no output `{name}`; the model has `{}`", names.join("`, `"))
            })?;
            if chosen.contains(&at) {
                return Err(format!("output `{name}` is asked for twice"));
            }
            chosen.push(at);
        }
        Ok(chosen)
    }
}

/// The value of `data`.
struct Data<'r, 's>(&'r Reading<'s>);

impl<'de> DeserializeSeed<'de> for Data<'_, '_> {
    type Value = Values;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Values, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Data<'_, '_> {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows, or an object of inputs by name")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Values, A::Error> {
        let [input] = self.0.signature.inputs.as_slice() else {
            return Err(A::Error::custom("it is a list"));
        };
        self.0.input.set(Some(0));
        let value = tensor(input, SeqAccessDeserializer::new(seq))?;
        self.0.input.set(None);
        Ok(vec![Some(value)])
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
        let inputs = &self.0.signature.inputs;
        let mut values: Values = inputs.iter().map(|_| None).collect();
        while let Some(name) = map.next_key::<String>()? {
            let found = inputs.iter().enumerate().zip(&mut values).find(|((_, input), _)| input.name == name);
            let Some(((at, input), value)) = found else {
                return Err(A::Error::custom(format_args!("there is no input `{name}`")));
            };
            if value.is_some() {
                return Err(A::Error::custom(format_args!("input `{name}` is given twice")));
            }
            self.0.input.set(Some(at));
            *value = Some(map.next_value_seed(One(input))?);
            self.0.input.set(None);
        }
        Ok(values)
    }
}

/// One input by name.
struct One<'s>(&'s Input);

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = SessionInputValue<'static>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        tensor(self.0, deserializer)
    }
}
