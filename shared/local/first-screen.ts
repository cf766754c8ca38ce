import type { FunctionInfo } from '../function/context.ts';
import { defaultData, type LocalArguments } from './arguments.ts';

type Row = readonly [what: string, how: string];

/** The options with which another command uses the same store. */
export function storeOption({ data, kubeconfig }: LocalArguments): string {
  if (kubeconfig !== undefined) return ` -- --kubeconfig ${kubeconfig}`;
  return data === defaultData ? '' : ` -- --data ${data}`;
}

function table(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([what]) => what.length));
  return rows.map(([what, how]) => `  ${what.padEnd(width)}   ${how}`);
}

/** Posts to try, one for each webhook that has an example. */
function examples(functions: readonly FunctionInfo[], url: string): Row[] {
  return functions.flatMap(({ name, webhooks }) =>
    webhooks.flatMap(({ example, path }): Row[] =>
      example === undefined
        ? []
        : [[`try ${name}`, `curl -d '${example}' -H 'content-type: application/json' ${url}${path}`]],
    ),
  );
}

export interface FirstScreenOptions {
  readonly args: LocalArguments;
  readonly url: string;
  readonly functions: readonly FunctionInfo[];
  /** The sources whose tools' own files can be imported. */
  readonly importable: readonly string[];
}

/** What a person at a terminal sees first: what is running, where to look, and what to try next. */
export function firstScreen({ args, url, functions, importable }: FirstScreenOptions): string {
  const { kubeconfig, objects, config, samples, data } = args;
  const option = storeOption(args);
  const imports = data === defaultData ? '' : `--data ${data} `;
  const keeps = kubeconfig === undefined ? `stores what it finds in ${data}` : `uses the cluster of ${kubeconfig}`;
  const folders = [objects, config].filter((folder) => folder !== undefined).join(' and ');
  const rows: Row[] = [
    ['what was found', `${url}  in a browser, or: npm run observations${option}`],
    ['as JSON', `${url}/observations`],
    ['how it is doing', `${url}/metrics, ${url}/ready`],
    ...examples(functions, url),
    ...(kubeconfig === undefined
      ? [['your own scan', `npm run import -- ${imports}FILE   (JSON of ${importable.join(', ')})`] as const]
      : [['with kubectl', 'kubectl get observations -A'] as const]),
    ...(samples || kubeconfig !== undefined
      ? []
      : [['no scan at hand?', 'stop, and start again with: npm start -- --samples'] as const]),
    ['stop', 'Ctrl-C'],
  ];
  return [
    '',
    `zen-watcher is listening on ${url} and ${keeps}.`,
    `It runs ${functions.map(({ name }) => name).join(', ')}.`,
    ...(folders === '' ? [] : [`It reads ${folders}, and watches for changes.`]),
    '',
    ...table(rows),
    '',
    '',
  ].join('\n');
}
