import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { temporaryFolder } from '../host/program.ts';

const root = join(import.meta.dirname, '..', '..');

const componentSchema = z.object({
  type: z.string(),
  name: z.string(),
  version: z.string(),
  purl: z.string().optional(),
  components: z.array(z.object({ name: z.string(), version: z.string() })).optional(),
});

const sbomSchema = z.object({
  components: z.array(componentSchema),
  dependencies: z.array(z.object({ dependsOn: z.array(z.string()) })),
  compositions: z.array(z.object({ aggregate: z.string() })),
});

/** As the base image has them: a file for each package, and one with the checksums of its files. */
const debianFiles: Readonly<Record<string, string>> = {
  'base-files': 'Package: base-files\nVersion: 12.4+deb12u12\nArchitecture: amd64\nEssential: yes\n',
  libc6:
    'Package: libc6\nSource: glibc\nVersion: 2.36-9+deb12u13\nArchitecture: amd64\nDescription: GNU C Library\n Package: none\n',
  'libstdc++6': 'Package: libstdc++6\nVersion: 12.2.0-14+deb12u1\nArchitecture: amd64\n',
  tzdata: 'Package: tzdata\nVersion: 2025b-0+deb12u2\nArchitecture: all\n',
  'libc6.md5sums': '00000000000000000000000000000000  lib/x86_64-linux-gnu/libc.so.6\n',
};

function build(...more: readonly string[]) {
  const dist = join(temporaryFolder(), 'dist');
  const args = [join(root, 'knative', 'image', 'build.ts'), '--dist', dist, '--without-snapshot', ...more];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { status, stderr, file: join(dist, 'sbom.cdx.json') };
}

describe('the list of what the image holds', { timeout: 120_000 }, () => {
  const text = readFileSync(join(root, 'dist', 'sbom.cdx.json'), 'utf8');
  const local = sbomSchema.parse(JSON.parse(text));
  const bundle = readFileSync(join(root, 'dist', 'zen-watcher.cjs'), 'utf8');
  const libraries = local.components.filter(({ type }) => type === 'library');
  let whole = text;

  beforeAll(() => {
    const folder = join(temporaryFolder(), 'status.d');
    mkdirSync(folder);
    for (const [name, content] of Object.entries(debianFiles)) writeFileSync(join(folder, name), content);
    whole = readFileSync(build('--debian-packages', folder).file, 'utf8');
  });

  it('has every package that the bundle has something of', () => {
    const names = [...bundle.matchAll(/"node_modules\/((?:@[^/"]+\/)?[^/"]+)\//g)].map(([, name]) => name);
    expect(new Set(names).size).toBeGreaterThan(40);
    expect(libraries.map(({ name }) => name)).toEqual(expect.arrayContaining([...new Set(names)]));
    expect(libraries.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['cloudevents', 'express', 'pino', 'zod']),
    );
  });

  it.each([
    '@kubernetes/client-node',
    'undici',
    'body-parser',
    'iconv-lite',
    'yaml',
    'esbuild',
    'typescript',
    'vitest',
  ])('does not have %s, which the image has nothing of', (name) => {
    expect(bundle).not.toContain(`"node_modules/${name}/`);
    expect(libraries.map((library) => library.name)).not.toContain(name);
  });

  it('has Node, and what is part of its program', () => {
    const [node] = local.components.filter(({ name }) => name === 'node');
    expect(node?.version).toBe(process.versions.node);
    const { openssl, v8, zlib, uv } = process.versions;
    expect(Object.fromEntries(node?.components?.map(({ name, version }) => [name, version]) ?? [])).toMatchObject({
      ...{ openssl, v8, zlib, uv },
    });
  });

  it("has Debian's packages, and says that it is incomplete without them", () => {
    const { components, compositions } = sbomSchema.parse(JSON.parse(whole));
    const more = components.filter(({ purl = '' }) => !local.components.some((one) => one.purl === purl));
    expect(more.map(({ name, version, purl }) => [name, version, purl])).toEqual([
      ['debian', '12', undefined],
      ['base-files', '12.4+deb12u12', 'pkg:deb/debian/base-files@12.4%2Bdeb12u12?arch=amd64&distro=debian-12'],
      ['libc6', '2.36-9+deb12u13', 'pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=debian-12'],
      [
        'libstdc++6',
        '12.2.0-14+deb12u1',
        'pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12',
      ],
      ['tzdata', '2025b-0+deb12u2', 'pkg:deb/debian/tzdata@2025b-0%2Bdeb12u2?arch=all&distro=debian-12'],
    ]);
    expect(compositions).toEqual([{ aggregate: 'complete' }]);
    expect(local.compositions).toEqual([{ aggregate: 'incomplete' }]);
  });

  it('is not made where there should be packages and are none', () => {
    const { status, stderr } = build('--debian-packages', temporaryFolder());
    expect(status).toBe(1);
    expect(stderr).toContain('there are no packages in');
  });

  it("is valid by CycloneDX's own schema", () => {
    const folder = temporaryFolder();
    // Only for this, so it is no dependency.
    const packages = [
      '@cyclonedx/cyclonedx-library@10.3.0',
      'ajv@8.20.0',
      'ajv-formats@3.0.1',
      'ajv-formats-draft2019@1.6.1',
    ];
    execFileSync('npm', ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', ...packages], {
      stdio: 'ignore',
      // npm would keep what it has compiled in the temporary folder.
      env: { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1' },
    });
    writeFileSync(
      join(folder, 'validate.cjs'),
      `const { Spec, Validation } = require('@cyclonedx/cyclonedx-library');
       const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
       const file = require('node:fs').readFileSync(0, 'utf8');
       validator.validate(file).then((faults) => console.log(JSON.stringify(faults)));`,
    );
    const faultsIn = (input: string): unknown =>
      JSON.parse(execFileSync(process.execPath, ['validate.cjs'], { cwd: folder, input, encoding: 'utf8' }));
    expect(faultsIn(text)).toBeNull();
    expect(faultsIn(whole)).toBeNull();
    expect(faultsIn(text.replace('"library"', '"no type"'))).not.toBeNull();
  });
});

describe('the Dockerfile', () => {
  const dockerfile = readFileSync(join(root, 'knative', 'Dockerfile'), 'utf8');
  const [, guard = ''] = /\nRUN (case [\s\S]*? esac)\n/.exec(dockerfile) ?? [];
  const digest = `@sha256:${'0'.repeat(64)}`;

  it.each([
    ['true', `r.example/node${digest}`, `node:24${digest}`, 0],
    ['true', 'r.example/node:nonroot', `node:24${digest}`, 1],
    ['true', `r.example/node${digest}`, 'node:24', 1],
    ['yes', `r.example/node${digest}`, `node:24${digest}`, 1],
    ['false', 'r.example/node:nonroot', 'node:24', 0],
  ])('with RELEASE=%s takes %s and %s: %i', (RELEASE, RUNTIME, BUILDER, status) => {
    const script = guard.replaceAll('\\\n', '');
    expect(spawnSync('sh', ['-c', script], { env: { RELEASE, RUNTIME, BUILDER } }).status).toBe(status);
  });

  it('takes nothing else from elsewhere, and has the version of the package', () => {
    const { version } = z
      .object({ version: z.string() })
      .parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
    expect(dockerfile).toContain(`ARG VERSION=${version}\n`);
    const images = [...dockerfile.matchAll(/^(?:FROM|COPY --from=|# syntax=) ?(\S+)/gm)].map(([, image]) =>
      image?.replace('$', ''),
    );
    expect(new Set(images)).toEqual(new Set(['{RUNTIME}', '{BUILDER}', 'scratch', 'runtime', 'build']));
  });
});
