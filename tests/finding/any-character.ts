import fc from 'fast-check';

/** Like fast-check's unit `binary`, which makes a table of a million characters first. */
export const anyCharacter = fc
  .integer({ min: 0, max: 0x10ffff })
  .filter((code) => code < 0xd800 || code > 0xdfff)
  .map((code) => String.fromCodePoint(code));
