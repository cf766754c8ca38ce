import { describe, expect, it } from 'vitest';
import { loadFunctions } from '../../shared/host/function-list.ts';

describe('the functions', async () => {
  const functions = await loadFunctions();

  it('see each other where they ask which there are, or where they are, and nowhere else', () => {
    const seeing = functions.filter(({ seesOthers }) => seesOthers).map(({ name }) => name);
    expect(seeing.sort()).toEqual([
      'alertmanager',
      'announce',
      'deadletter',
      'exceptions',
      'gc',
      'ingest',
      'sources',
      'webhook',
    ]);
  });

  it('leave dead letters to one of them', () => {
    const takers = functions.filter(({ kind }) => kind === 'dead-letter-sink');
    expect(takers.map(({ name }) => name)).toEqual(['deadletter']);
  });
});
