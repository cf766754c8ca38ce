import { type Properties, pick } from './properties.ts';

/** What a process did, by the word for the kind of its operation. */
const verbs: ReadonlyMap<string, string> = new Map([
  ['process', 'ran'],
  ['file', 'opened'],
  ['network', 'used'],
  ['syscall', 'called'],
]);

const podKeys = [/\b(?:pod name|podname)$/, /\bpod$/];
const containerKeys = [/\b(?:container name|containername)$/, /\bcontainer$/];
const processKeys = [
  /\b(?:process|proc) ?name$/,
  /\b(?:process|proc)$/,
  /\b(?:cmdline|command line|command|executable|exe|binary)$/,
];

/**
 * What an engine that watches processes saw, such as `bash ran /bin/sleep 1 in web-5d6b975744-rrkhh (container web,
 * action Block)`; `undefined` if it names no process or no Pod.
 */
export function summaryOfProcess(properties: Properties): string | undefined {
  const operation = pick(properties, [/^operation$/]);
  const target = operation === undefined ? undefined : pick(properties, [/^resource$/]);
  const process =
    pick(properties, processKeys) ?? (operation === undefined ? undefined : pick(properties, [/^source$/]));
  const [pod, container] = [pick(properties, podKeys), pick(properties, containerKeys)];
  const action = pick(properties, [/^action$/]);
  if (pod === undefined || (process ?? target) === undefined) return undefined;
  const verb = verbs.get(operation?.toLowerCase() ?? '') ?? 'touched';
  const deed = target === undefined ? process : `${process ?? 'a process'} ${verb} ${target}`;
  const aside = [container && `container ${container}`, action && `action ${action}`].filter(Boolean).join(', ');
  return `${deed} in ${pod}${aside && ` (${aside})`}`;
}
