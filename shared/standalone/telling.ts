import type { FunctionDefinition } from '../function/definitions.ts';
import { type Environment, parseSettings, SettingsError } from '../function/settings.ts';
import { ownVariable } from '../function/sink-environment.ts';

/** Whether a sink has been told where its receiver is. */
function isConfigured(definition: FunctionDefinition, environment: Environment): boolean {
  if (definition.kind !== 'sink') return false;
  const settings = Object.assign({}, parseSettings(environment, definition.settings, []));
  return definition.sink.receiver(settings) !== undefined;
}

/** A token that two would be sent may be meant for one of them alone. Throws a SettingsError. */
function checkTokens(sinks: readonly FunctionDefinition[], environment: Environment): void {
  const owners = sinks.map(({ name }) => ({ name, variable: ownVariable(name, 'SINK_TOKEN_FILE') }));
  const sharing = owners.filter(({ variable }) => !environment[variable]);
  if (sharing.length < 2 || !environment.SINK_TOKEN_FILE) return;
  const names = sharing.map(({ name }) => name).join(' and ');
  const variables = sharing.map(({ variable }) => variable).join(' or ');
  throw new SettingsError([`SINK_TOKEN_FILE: ${names} would both be sent the token: set ${variables} instead`]);
}

/**
 * What runs in one process, and with which environment: a sink where its receiver is known, and what tells others if there
 * is such a sink, or somebody asks for it. Throws a SettingsError.
 */
export function withTelling(definitions: readonly FunctionDefinition[], environment: Environment) {
  const sinks = definitions.filter((definition) => isConfigured(definition, environment));
  checkTokens(sinks, environment);
  const { ANNOUNCE: asked = sinks.length > 0 ? 'true' : 'false' } = environment;
  const isUsed = (definition: FunctionDefinition): boolean =>
    definition.kind === 'sink' ? sinks.includes(definition) : asked === 'true';
  return {
    definitions: definitions.filter((definition) => !definition.isOptional || isUsed(definition)),
    environment: { ...environment, ANNOUNCE: asked },
  };
}
