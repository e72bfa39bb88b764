//! Reads the body of `POST /score` straight into flat tensors: no tree of JSON values in between.
//!
//! `{"data": [[…], …]}` for a model with one input, `{"data": {"name": [[…], …], …}}` for any, and beside it
//! `"outputs": ["name", …]` to choose what the answer holds. Azure's `{"Inputs": {"data": …}}` is read the same way.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use ort::session::SessionInputValue;
use ort::value::{PrimitiveTensorElementType, Tensor};
use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
};

use super::signature::{Element, Input, Signature};

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
            None => format!("{}, but {error}", signature.expected()),
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

fn tensor<'de, D: Deserializer<'de>>(input: &Input, from: D) -> Result<SessionInputValue<'static>, D::Error> {
    match input.element {
        Element::Float32 => numbers::<Real<f32>, D>(input, from),
        Element::Float64 => numbers::<Real<f64>, D>(input, from),
        Element::Int8 => numbers::<Plain<i8>, D>(input, from),
        Element::Int16 => numbers::<Plain<i16>, D>(input, from),
        Element::Int32 => numbers::<Plain<i32>, D>(input, from),
        Element::Int64 => numbers::<Plain<i64>, D>(input, from),
        Element::Uint8 => numbers::<Plain<u8>, D>(input, from),
        Element::Uint16 => numbers::<Plain<u16>, D>(input, from),
        Element::Uint32 => numbers::<Plain<u32>, D>(input, from),
        Element::Uint64 => numbers::<Plain<u64>, D>(input, from),
        Element::Bool => numbers::<Plain<bool>, D>(input, from),
        Element::Text => {
            let (shape, flat) = collect::<Plain<String>, D>(input, from)?;
            Ok(Tensor::from_string_array((shape, flat.as_slice())).map_err(D::Error::custom)?.into())
        }
    }
}

fn numbers<'de, S, D>(input: &Input, from: D) -> Result<SessionInputValue<'static>, D::Error>
where
    S: Scalar,
    S::Out: PrimitiveTensorElementType + fmt::Debug + Clone + 'static,
    D: Deserializer<'de>,
{
    let (shape, flat) = collect::<S, D>(input, from)?;
    Ok(Tensor::from_array((shape, flat)).map_err(D::Error::custom)?.into())
}

/// A shape, and the values in its order.
type Flat<S> = (Vec<i64>, Vec<<S as Scalar>::Out>);

/// Reads nested lists into one flat vector and the shape they turned out to have.
fn collect<'de, S: Scalar, D: Deserializer<'de>>(input: &Input, from: D) -> Result<Flat<S>, D::Error> {
    let mut shape = input.shape.clone();
    let mut flat = Vec::new();
    Level::<S> { flat: &mut flat, shape: &mut shape, depth: 0, scalar: PhantomData }.deserialize(from)?;
    if flat.is_empty() {
        // Kernels differ in what they do with no rows at all, up to a division by zero.
        return Err(D::Error::custom("it holds no values"));
    }
    Ok((shape, flat))
}

/// One level of nesting. A length in `shape` that is still -1 is learned from the first list at that depth; all others
/// must agree with it.
struct Level<'a, S: Scalar> {
    flat: &'a mut Vec<S::Out>,
    shape: &'a mut [i64],
    depth: usize,
    scalar: PhantomData<S>,
}

impl<S: Scalar> Level<'_, S> {
    fn alone<E: serde::de::Error, V>(self, value: V) -> Result<(), E>
    where
        V: serde::de::IntoDeserializer<'static, E>,
    {
        self.flat.push(S::read(value.into_deserializer())?);
        Ok(())
    }
}

impl<'de, S: Scalar> DeserializeSeed<'de> for Level<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.shape {
            [] => {
                self.flat.push(S::read(deserializer)?);
                Ok(())
            }
            // A column, [-1, 1]: its values may stand alone, without a list around each.
            [1] if self.depth > 0 => deserializer.deserialize_any(self),
            _ => deserializer.deserialize_seq(self),
        }
    }
}

impl<'de, S: Scalar> Visitor<'de> for Level<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((length, inner)) = self.shape.split_first_mut() else {
            return Err(A::Error::custom("it is nested too deeply"));
        };
        let mut count: i64 = 0;
        let depth = self.depth + 1;
        while seq.next_element_seed(Level::<S> { flat: self.flat, shape: inner, depth, scalar: PhantomData })?.is_some()
        {
            count += 1;
        }
        if *length == -1 {
            *length = count;
        } else if *length != count {
            return Err(A::Error::custom(format_args!("a list has {count} entries instead of {length}")));
        }
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.alone(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.alone(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.alone(value)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.alone(value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.flat.push(S::read(value.into_deserializer())?);
        Ok(())
    }
}

/// How an element is spelled in JSON.
trait Scalar {
    type Out;
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self::Out, D::Error>;
}

/// Spelled as JSON spells it.
struct Plain<T>(PhantomData<T>);

impl<T: DeserializeOwned> Scalar for Plain<T> {
    type Out = T;

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        T::deserialize(from)
    }
}

/// A number, or one of the three that JSON cannot spell, as a string.
struct Real<T>(PhantomData<T>);

impl Scalar for Real<f64> {
    type Out = f64;

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        from.deserialize_any(Number)
    }
}

impl Scalar for Real<f32> {
    type Out = f32;

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<f32, D::Error> {
        let wide = from.deserialize_any(Number)?;
        #[expect(clippy::as_conversions, reason = "rounding to the nearest float32 is what is wanted")]
        let narrow = wide as f32;
        if narrow.is_infinite() && wide.is_finite() {
            return Err(D::Error::custom(format_args!("{wide} is beyond float32")));
        }
        Ok(narrow)
    }
}

struct Number;

impl Visitor<'_> for Number {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<f64, E> {
        #[expect(clippy::as_conversions, reason = "rounding to the nearest float64 is what JSON means by a number")]
        Ok(value as f64)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<f64, E> {
        #[expect(clippy::as_conversions, reason = "rounding to the nearest float64 is what JSON means by a number")]
        Ok(value as f64)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<f64, E> {
        match value {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            _ => Err(E::invalid_value(
                serde::de::Unexpected::Str(value),
                &"a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
            )),
        }
    }
}
