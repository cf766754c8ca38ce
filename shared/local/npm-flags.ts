import type { Environment } from '../function/settings.ts';

/**
 * An error message if npm took options for its own, `undefined` if it took none. It takes all options before a `--`: they
 * end up in its environment, and only their values remain among the arguments.
 */
export function takenByNpm(
  environment: Environment,
  options: Readonly<Record<string, { readonly type: string; readonly short?: string }>>,
  command: string,
): string | undefined {
  const flags = Object.entries(options).flatMap(([name, { short }]) => [
    { variable: name, flag: `--${name}` },
    ...(short === undefined ? [] : [{ variable: short, flag: `-${short}` }]),
  ]);
  const taken = flags.filter(({ variable }) => environment[`npm_config_${variable}`] !== undefined);
  if (taken.length === 0) return undefined;
  const names = taken.map(({ flag }) => flag).join(' and ');
  return `npm took ${names} for itself; put options after two hyphens: ${command} -- ${taken[0]?.flag} ...`;
}
