import { createRequire } from 'node:module';
import type * as Cel from '@bufbuild/cel';
import type * as Re2 from '@bufbuild/re2';

const load = createRequire(import.meta.url);

/**
 * The library that reads and answers expressions, and its regular expressions; nothing else imports them. Each is loaded when the first
 * expression is compiled: most installations have none, and it would cost every function a twelfth of its start and 3 MB. The
 * image's build replaces this file with one that does the same in the bundle.
 */
export const library: { cel(): typeof Cel; re2(): typeof Re2 } = {
  cel: () => load('@bufbuild/cel'),
  re2: () => load('@bufbuild/re2'),
};
