import type { FunctionDefinition } from './definitions.ts';
import type { Environment } from './settings.ts';

/** What sinks do not share where one process hosts several: the token of one is nobody else's. */
const ownNames = ['SINK_TOKEN_FILE', 'SINK_CA_FILE'] as const;

/** The variable that says it for one sink alone, such as SENDER_SINK_TOKEN_FILE. */
export function ownVariable(sink: string, name: (typeof ownNames)[number]): string {
  return `${sink.toUpperCase()}_${name}`;
}

/** All that says something for this function alone. */
export function ownVariables({ kind, name }: FunctionDefinition): string[] {
  return kind === 'sink' ? ownNames.map((one) => ownVariable(name, one)) : [];
}

/** The environment as a function sees it: for a sink, what it has of its own in place of what all have. */
export function environmentOf({ kind, name }: FunctionDefinition, environment: Environment): Environment {
  if (kind !== 'sink') return environment;
  const own = ownNames.map((one) => [one, environment[ownVariable(name, one)] || environment[one]]);
  return { ...environment, ...Object.fromEntries(own) };
}
