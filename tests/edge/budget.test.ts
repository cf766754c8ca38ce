import { describe, expect, it } from 'vitest';
import { createBudget } from '../../shared/edge/budget.ts';

describe('createBudget', () => {
  it('gives several bodies as much as there is, and not one byte more', () => {
    const share = createBudget(100);
    const [first, second] = [share(), share()];
    first.add(60);
    second.add(40);
    expect(() => second.add(1)).toThrow('too much is in flight');
    expect(() => first.add(1)).toThrow(expect.objectContaining({ status: 503 }));
  });

  it('gives a body that is alone whatever it takes, until there is another one', () => {
    const share = createBudget(100);
    const [large, other] = [share(), share()];
    large.add(80);
    large.add(80);
    expect(() => other.add(1)).toThrow('too much is in flight');
    large.release();
    other.add(150);
    expect(() => large.add(1)).toThrow('too much is in flight');
  });

  it('takes back what a body had, once', () => {
    const share = createBudget(100);
    const [first, second, third] = [share(), share(), share()];
    first.add(50);
    second.add(50);
    first.release();
    first.release();
    third.add(50);
    expect(() => first.add(1)).toThrow('too much is in flight');
    third.release();
    first.add(50);
    expect(() => first.add(1)).toThrow('too much is in flight');
  });
});
