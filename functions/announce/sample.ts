/**
 * Picks at most `size` of all items at random, in random order, each as likely as any other: where some can't be delivered, run
 * after run, the rest is tried all the same.
 */
export async function sampleOf<Item>(all: AsyncIterable<Item>, size: number) {
  const sample: Item[] = [];
  let count = 0;
  for await (const item of all) {
    count += 1;
    const place = Math.floor(Math.random() * count);
    if (sample.length < size) sample.splice(place, 0, item);
    else if (place < size) sample[place] = item;
  }
  return { sample, isAll: count <= size };
}
