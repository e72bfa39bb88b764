//! Reads nested JSON lists into one flat tensor, checking shape and type on the way.

use std::fmt;
use std::marker::PhantomData;

use ort::session::SessionInputValue;
use ort::value::{PrimitiveTensorElementType, Tensor};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer as _, SeqAccess, Visitor,
};

use super::signature::{Element, Input};

/// How the values of a tensor are laid in a body.
#[derive(Clone, Copy)]
pub(super) struct Layout<'a> {
    /// Type of its elements.
    pub(super) element: Element,
    /// The lists it is read from; -1 where any length will do.
    pub(super) read: &'a [i64],
    /// The shape it then has, where that is not the one it was read in.
    pub(super) shape: Option<&'a [i64]>,
}

/// Reads the value of one input.
///
/// # Errors
/// When it is ragged, or of another shape or type.
pub(super) fn tensor<'de, D: Deserializer<'de>>(
    input: &Input,
    from: D,
) -> Result<SessionInputValue<'static>, D::Error> {
    laid(Layout { element: input.element, read: &input.shape, shape: None }, from)
}

/// Reads a tensor that is laid like this.
///
/// # Errors
/// When it is ragged, or of another shape or type.
pub(super) fn laid<'de, D: Deserializer<'de>>(
    layout: Layout<'_>,
    from: D,
) -> Result<SessionInputValue<'static>, D::Error> {
    match layout.element {
        Element::Float32 => numbers::<Real<f32>, D>(layout, from),
        Element::Float64 => numbers::<Real<f64>, D>(layout, from),
        Element::Int8 => numbers::<Plain<i8>, D>(layout, from),
        Element::Int16 => numbers::<Plain<i16>, D>(layout, from),
        Element::Int32 => numbers::<Plain<i32>, D>(layout, from),
        Element::Int64 => numbers::<Plain<i64>, D>(layout, from),
        Element::Uint8 => numbers::<Plain<u8>, D>(layout, from),
        Element::Uint16 => numbers::<Plain<u16>, D>(layout, from),
        Element::Uint32 => numbers::<Plain<u32>, D>(layout, from),
        Element::Uint64 => numbers::<Plain<u64>, D>(layout, from),
        Element::Bool => numbers::<Plain<bool>, D>(layout, from),
        Element::Text => {
            let (shape, flat) = collect::<Plain<String>, D>(layout, from)?;
            Ok(Tensor::from_string_array((shape, flat.as_slice())).map_err(D::Error::custom)?.into())
        }
    }
}

fn numbers<'de, S, D>(layout: Layout<'_>, from: D) -> Result<SessionInputValue<'static>, D::Error>
where
    S: Scalar,
    S::Out: PrimitiveTensorElementType + fmt::Debug + Clone + 'static,
    D: Deserializer<'de>,
{
    let (shape, flat) = collect::<S, D>(layout, from)?;
    Ok(Tensor::from_array((shape, flat)).map_err(D::Error::custom)?.into())
}

/// A shape, and the values in its order.
type Flat<S> = (Vec<i64>, Vec<<S as Scalar>::Out>);

/// Reads nested lists into one flat vector and the shape they turned out to have.
fn collect<'de, S: Scalar, D: Deserializer<'de>>(layout: Layout<'_>, from: D) -> Result<Flat<S>, D::Error> {
    let mut shape = layout.read.to_vec();
    let mut flat = Vec::new();
    Level::<S> { flat: &mut flat, shape: &mut shape, depth: 0, scalar: PhantomData }.deserialize(from)?;
    if flat.is_empty() {
        // Kernels differ in what they do with no rows at all, up to a division by zero.
        return Err(D::Error::custom("it holds no values"));
    }
    Ok((layout.shape.map_or(shape, <[i64]>::to_vec), flat))
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
