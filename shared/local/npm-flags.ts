import type { Environment } from '../function/settings.ts';

/**
 * What is wrong where npm took options for its own, which it does with all that stand before a `--`: they are in its
 * environment then, and nothing of them is in the arguments but their values. `undefined` where nothing is.
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
  return `npm took ${names} for itself; options go after two hyphens: ${command} -- ${taken[0]?.flag} ...`;
}
