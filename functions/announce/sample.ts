/**
 * So many of all there are, each as likely as any other, in random order. So what can't be delivered doesn't keep what comes
 * after it from being tried, run after run.
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
