/** How many characters an expression may have. */
export const maxExpressionLength = 500;

/** How deep brackets may be nested: the parser calls itself for each. */
const maxBrackets = 40;

/** An expression can't be accepted. `offset` is where, in UTF-16 code units. */
export class ExpressionFault extends Error {
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

/** `line:column`, as editors count them. */
export function positionOf(text: string, offset: number): string {
  const lines = text.slice(0, offset).split('\n');
  return `${lines.length}:${[...(lines.at(-1) ?? '')].length + 1}`;
}

const raw = /[rR][bB]?(?:"[^"\n]*"|'[^'\n]*')|[bB][rR](?:"[^"\n]*"|'[^'\n]*')/;
const longRaw = /(?:[rR][bB]?|[bB][rR])(?:"""[\s\S]*?"""|'''[\s\S]*?''')/;
const long = /[bB]?(?:"""(?:[^\\]|\\[\s\S])*?"""|'''(?:[^\\]|\\[\s\S])*?''')/;
const short = /[bB]?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')/;
const comment = /\/\/[^\n]*/;
/** A member's name is taken with its dot: `resource.namespace` stays what it is. */
const name = /(?:\.\s*)?[A-Za-z_][A-Za-z_0-9]*/;
const bracketOrQuote = /[[\](){}'"]/;

/** What is read of an expression. What lies between is of no interest here; a quote by itself begins a text without an end. */
const token = new RegExp(
  [longRaw, long, raw, short, comment, name, bracketOrQuote].map(({ source }) => source).join('|'),
  'g',
);

const closing: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** The name that stands for `namespace`, which CEL reserves without using it. It is as long, so that positions stay. */
export const namespaceName = '__nspace_';

interface Open {
  readonly offset: number;
  readonly bracket: string;
}

/** Notes a bracket. Throws an ExpressionFault if it is one too many. */
function nest(open: Open[], bracket: string, offset: number): void {
  if (bracket in closing) {
    open.push({ offset, bracket });
    if (open.length > maxBrackets) {
      throw new ExpressionFault(offset, `brackets may be nested ${maxBrackets} deep`);
    }
    return;
  }
  const last = open.pop();
  if (last === undefined) throw new ExpressionFault(offset, `${bracket} closes nothing`);
  if (closing[last.bracket] !== bracket) {
    throw new ExpressionFault(offset, `${bracket} can't close the ${last.bracket} before it`);
  }
}

/**
 * An expression as the parser may read it: short, with brackets that match and are not nested so deep that they overflow the stack, and with a name
 * in place of `namespace`. Throws an ExpressionFault.
 */
export function readSource(text: string): string {
  if (text.trim() === '') throw new ExpressionFault(0, 'it is empty');
  const { length } = [...text];
  if (length > maxExpressionLength) {
    throw new ExpressionFault(0, `it has ${length} characters; ${maxExpressionLength} are allowed`);
  }
  const open: Open[] = [];
  const source = text.replace(token, (word, offset: number) => {
    if (/^['"]$/.test(word)) throw new ExpressionFault(offset, 'the text that begins here has no end');
    if (/^[[\](){}]$/.test(word)) nest(open, word, offset);
    return word === 'namespace' ? namespaceName : word;
  });
  const [unclosed] = open.slice(-1);
  if (unclosed) throw new ExpressionFault(unclosed.offset, `${unclosed.bracket} is not closed`);
  // The parser knows no comment that ends with the text.
  return `${source}\n`;
}
