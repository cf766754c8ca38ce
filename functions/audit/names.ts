import { presets } from './presets.ts';

export type NameTest = (name: string) => boolean;

/** A setting's list: a leading `+` adds the rest to the preset. */
export function namesOf(setting: readonly string[], preset: readonly string[]): readonly string[] {
  return setting[0]?.startsWith('+')
    ? [...preset, ...setting.map((name) => name.replace(/^\+/, '')).filter((name) => name !== '')]
    : setting;
}

/** Tests names against a list whose members may begin or end with `*`. */
export function createNameTest(list: readonly string[]): NameTest {
  const names = new Set(list);
  const prefixes = list.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));
  const endings = list.filter((name) => name.startsWith('*')).map((name) => name.slice(1));
  return (name) =>
    names.has(name) ||
    prefixes.some((prefix) => name.startsWith(prefix)) ||
    endings.some((ending) => name.endsWith(ending));
}

export interface NameSettings {
  readonly AUDIT_IGNORE_USERS: readonly string[];
  readonly AUDIT_OPERATORS: readonly string[];
  readonly AUDIT_DEPLOYERS: readonly string[];
  readonly AUDIT_SECRET_READERS: readonly string[];
  readonly AUDIT_IMPERSONATORS: readonly string[];
}

export type NameTests = Readonly<Record<keyof typeof presets, NameTest>>;

export function createNameTests(settings: NameSettings): NameTests {
  return {
    system: createNameTest(namesOf(settings.AUDIT_IGNORE_USERS, presets.system)),
    operators: createNameTest(namesOf(settings.AUDIT_OPERATORS, presets.operators)),
    deployers: createNameTest(namesOf(settings.AUDIT_DEPLOYERS, presets.deployers)),
    secretReaders: createNameTest(namesOf(settings.AUDIT_SECRET_READERS, presets.secretReaders)),
    impersonators: createNameTest(namesOf(settings.AUDIT_IMPERSONATORS, presets.impersonators)),
  };
}
