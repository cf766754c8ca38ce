import { afterAll } from 'vitest';
import { undoAll } from './host/at-end.ts';

/** In the process of each test file, after all that the file itself does at its end. */
afterAll(undoAll);
