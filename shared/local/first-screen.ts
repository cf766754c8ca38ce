import type { LocalArguments } from './arguments.ts';

type Row = readonly [what: string, how: string];

/** The page for a browser that is pointed at the port. */
export const about = `This is zen-watcher: it turns the output of security and compliance tools into one kind of object, Observation.

What it found       /observations (JSON), or on the command line: npm run observations
How it is doing     /health, /ready, /metrics
Tools post to       /falco/webhook, /audit/webhook, / (CloudEvents)
`;

/** The options with which another command uses the same store. */
function storeOption({ data, kubeconfig }: LocalArguments): string {
  if (kubeconfig !== undefined) return ` -- --kubeconfig ${kubeconfig}`;
  return data === '.data' ? '' : ` -- --data ${data}`;
}

function table(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([what]) => what.length));
  return rows.map(([what, how]) => `  ${what.padEnd(width)}   ${how}`);
}

/** What a person at a terminal sees first: what is running, where to look, and what to try next. */
export function firstScreen(args: LocalArguments, url: string, functions: readonly string[]): string {
  const { kubeconfig, objects, config, samples, data } = args;
  const option = storeOption(args);
  const imports = data === '.data' ? '' : `--data ${data} `;
  const keeps = kubeconfig === undefined ? `stores what it finds in ${data}` : `uses the cluster of ${kubeconfig}`;
  const folders = [objects, config].filter((folder) => folder !== undefined).join(' and ');
  const rows: Row[] = [
    ['what was found', `npm run observations${option}`],
    ['as JSON', `${url}/observations`],
    ['how it is doing', `${url}/metrics, ${url}/ready`],
    [
      'try an alert',
      `curl -d '{"rule":"Mine","priority":"Error"}' -H 'content-type: application/json' ${url}/falco/webhook`,
    ],
    ...(kubeconfig === undefined
      ? [['your own scan', `npm run import -- ${imports}FILE   (JSON of Checkov, kube-bench or Trivy)`] as const]
      : [['with kubectl', 'kubectl get observations -A'] as const]),
    ...(samples || kubeconfig !== undefined
      ? []
      : [['no scan at hand?', 'stop, and start again with: npm start -- --samples'] as const]),
    ['stop', 'Ctrl-C'],
  ];
  return [
    '',
    `zen-watcher is listening on ${url} and ${keeps}.`,
    `It runs ${functions.join(', ')}.`,
    ...(folders === '' ? [] : [`It reads ${folders}, and watches for changes.`]),
    '',
    ...table(rows),
    '',
    '',
  ].join('\n');
}
