import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';
import * as z from 'zod';

type Licences = readonly ({ readonly license: { readonly id: string } } | { readonly expression: string })[];

/** The parts of CycloneDX 1.6 that are used: https://cyclonedx.org/docs/1.6/json/ */
interface Component {
  readonly type: 'application' | 'library' | 'operating-system';
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly cpe?: string;
  readonly hashes?: readonly { readonly alg: 'SHA-512'; readonly content: string }[];
  readonly licenses?: Licences;
  /** What it contains. */
  readonly components?: readonly Component[];
}

const packageSchema = z.object({ name: z.string(), version: z.string(), license: z.string() });

const lockSchema = z.object({ packages: z.record(z.string(), z.object({ integrity: z.string().optional() })) });

function readJson<Schema extends z.ZodType>(schema: Schema, ...path: readonly string[]): z.output<Schema> {
  return schema.parse(JSON.parse(readFileSync(join(...path), 'utf8')));
}

/** An SPDX identifier, or an expression made of several. */
function licensesOf(license: string): Licences {
  return [license.includes(' ') ? { expression: license } : { license: { id: license } }];
}

/** The folders of the packages of which a bundle has something: esbuild names no file that it left out. */
function bundledFolders({ outputs }: Metafile): string[] {
  const files = Object.values(outputs).flatMap(({ inputs }) => Object.keys(inputs));
  const folders = files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? []);
  return [...new Set(folders)].sort();
}

/** npm's packages, with the checksums by which they were installed. */
function bundledPackages(root: string, metafile: Metafile): Component[] {
  const lock = readJson(lockSchema, root, 'package-lock.json');
  return bundledFolders(metafile).map((folder) => {
    const { name, version, license } = readJson(packageSchema, root, folder, 'package.json');
    const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
    const [, encoded] = /^sha512-(.+)$/.exec(lock.packages[folder]?.integrity ?? '') ?? [];
    const content = encoded && Buffer.from(encoded, 'base64').toString('hex');
    return {
      ...{ type: 'library', 'bom-ref': `${purl}#${folder}`, name, version, purl, licenses: licensesOf(license) },
      ...(content !== undefined && { hashes: [{ alg: 'SHA-512', content }] }),
    };
  });
}

/** What `process.versions` has besides the parts of Node: itself, interfaces, and standards. */
const noParts = new Set(['node', 'modules', 'napi', 'unicode', 'cldr']);

function cpeOf(vendor: string, product: string, version: string): string {
  return `cpe:2.3:a:${vendor}:${product}:${version}:*:*:*:*:*:*:*`;
}

/** The Node that runs this, which is the image's, and the libraries that are part of its program. */
function nodeItself(versions: Readonly<Record<string, string | undefined>>): Component {
  const version = versions.node ?? '';
  const ref = `pkg:generic/node@${version}`;
  const parts = Object.entries(versions).filter(
    ([name, part]) => !noParts.has(name) && part !== undefined && part !== '',
  );
  return {
    ...{ type: 'application', 'bom-ref': ref, name: 'node', version, purl: ref, licenses: licensesOf('MIT') },
    cpe: cpeOf('nodejs', 'node.js', version),
    components: parts.sort().map(([name, part = '']) => ({
      ...{ type: 'library', 'bom-ref': `${ref}#${name}`, name, version: part, purl: `pkg:generic/${name}@${part}` },
      ...(name === 'openssl' && { cpe: cpeOf('openssl', 'openssl', part) }),
    })),
  };
}

/** The fields of each paragraph of a file of dpkg's: https://www.debian.org/doc/debian-policy/ch-controlfields.html */
function paragraphsIn(text: string): Map<string, string>[] {
  const paragraphs = text.split(/\n\n+/).filter((paragraph) => paragraph.trim() !== '');
  return paragraphs.map(
    (paragraph) =>
      new Map([...paragraph.matchAll(/^([\w-]+): ?(.*)$/gm)].map(([, field = '', value = '']) => [field, value])),
  );
}

/**
 * Debian's packages, and Debian itself, from the folder where an image without dpkg keeps what dpkg would know. Throws if there
 * are none.
 */
function debianPackages(folder: string): Component[] {
  // Some of the files hold checksums, and no paragraphs.
  const all = readdirSync(folder)
    .sort()
    .flatMap((file) => paragraphsIn(readFileSync(join(folder, file), 'utf8')));
  const packages = all.flatMap((fields) => {
    const [name, version] = [fields.get('Package'), fields.get('Version')];
    return name === undefined || version === undefined ? [] : [{ name, version, fields }];
  });
  if (packages.length === 0) throw new Error(`there are no packages in ${folder}`);
  const release = packages.find(({ name }) => name === 'base-files')?.version.match(/^\d+/)?.[0];
  const system: Component[] =
    release === undefined
      ? []
      : [{ type: 'operating-system', 'bom-ref': `debian-${release}`, name: 'debian', version: release }];
  return [
    ...system,
    ...packages.map(({ name, version, fields }): Component => {
      const architecture = fields.get('Architecture') ?? 'all';
      const distro = release === undefined ? '' : `&distro=debian-${release}`;
      const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}${distro}`;
      return { type: 'library', 'bom-ref': purl, name, version, purl };
    }),
  ];
}

export interface SbomOptions {
  /** The repository's folder. */
  readonly root: string;
  readonly metafile: Metafile;
  /** Where Debian's packages are described. Without it the list is of the program and its Node alone. */
  readonly debian: string | undefined;
}

/** What the image holds and nothing else, as CycloneDX: the same for the same image, so without a time or a number. */
export function sbomOf({ root, metafile, debian }: SbomOptions): object {
  const { name, version, license } = readJson(packageSchema, root, 'package.json');
  const components = [
    ...bundledPackages(root, metafile),
    nodeItself(process.versions),
    ...(debian === undefined ? [] : debianPackages(debian)),
  ];
  const ref = `${name}@${version}`;
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', 'bom-ref': ref, name, version, licenses: licensesOf(license) } },
    components,
    dependencies: [{ ref, dependsOn: components.map((component) => component['bom-ref']) }],
    // Without Debian's packages there is more in an image than is listed.
    compositions: [{ aggregate: debian === undefined ? 'incomplete' : 'complete', assemblies: [ref] }],
  };
}
