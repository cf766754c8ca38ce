import * as z from 'zod';

/** A text of so many characters. They are counted as a CRD counts them, where a pair of surrogates is one. */
export function text(min: number, max: number): z.ZodString {
  return z
    .string()
    .refine((value) => value.length >= min && value.length <= 2 * max && [...value].length <= max, {
      error: min > 0 ? `must have ${min} to ${max} characters` : `must have at most ${max} characters`,
    })
    .meta({ ...(min > 0 && { minLength: min }), maxLength: max });
}
