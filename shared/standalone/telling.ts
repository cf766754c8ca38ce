import type { FunctionDefinition } from '../function/definitions.ts';
import { type Environment, parseSettings, SettingsError } from '../function/settings.ts';

/** Whether a sink has been told where its receiver is. */
function isConfigured(definition: FunctionDefinition, environment: Environment): boolean {
  if (definition.kind !== 'sink') return false;
  const settings = Object.assign({}, parseSettings(environment, definition.settings, []));
  return definition.sink.receiver(settings) !== undefined;
}

/**
 * What runs in one process, and with which environment: a sink where its receiver is known, and what tells others if there
 * is such a sink, or somebody asks for it. Throws a SettingsError.
 */
export function withTelling(definitions: readonly FunctionDefinition[], environment: Environment) {
  const sinks = definitions.filter((definition) => isConfigured(definition, environment));
  if (sinks.length > 1 && environment.SINK_TOKEN_FILE) {
    const names = sinks.map(({ name }) => name).join(' and ');
    throw new SettingsError([
      `SINK_TOKEN_FILE: ${names} would both be sent the token: in one process, one of them alone can have one`,
    ]);
  }
  const { ANNOUNCE: asked = sinks.length > 0 ? 'true' : 'false' } = environment;
  const isUsed = (definition: FunctionDefinition): boolean =>
    definition.kind === 'sink' ? sinks.includes(definition) : asked === 'true';
  return {
    definitions: definitions.filter((definition) => !definition.isOptional || isUsed(definition)),
    environment: { ...environment, ANNOUNCE: asked },
  };
}
