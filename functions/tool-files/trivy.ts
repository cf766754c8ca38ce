import * as z from 'zod';
import { descriptiveText, rowsOf } from '../../shared/finding/object-schema.ts';
import type { ToolFile, ToolObject } from '../../shared/function/tool-file.ts';

/** Any row. Its values pass unchanged, since the source's own schema decides about them. */
const row = z.looseObject({});

const result = z.object({
  Target: descriptiveText,
  Class: descriptiveText,
  Vulnerabilities: rowsOf(row),
  Misconfigurations: rowsOf(row),
  Secrets: rowsOf(row),
});

const operatingSystem = z
  .object({ Family: descriptiveText, Name: descriptiveText, EOSL: z.boolean().nullish().catch(undefined) })
  .nullish()
  .catch(undefined);

const imageMetadata = z.object({
  OS: operatingSystem,
  RepoTags: rowsOf(z.string()).catch([]),
  RepoDigests: rowsOf(z.string()).catch([]),
});

/** The report of one scan of an image, a folder or a repository. */
const scan = z.object({
  SchemaVersion: z.number(),
  CreatedAt: descriptiveText,
  ArtifactName: z.string(),
  ArtifactType: descriptiveText,
  Metadata: z.object({ OS: operatingSystem }).nullish().catch(undefined),
  Results: rowsOf(result),
});

const clusterResource = z.object({
  Namespace: descriptiveText,
  Kind: z.string(),
  Name: z.string(),
  // Of one image, or a list for several, depending on the version of Trivy.
  Metadata: z
    .union([imageMetadata.transform((one) => [one]), z.array(imageMetadata)])
    .nullish()
    .catch(undefined),
  Results: rowsOf(result),
});

/** The report of `trivy k8s`. The key of the list depends on the version of Trivy and on --report. */
const clusterScan = z
  .object({
    ClusterName: z.string(),
    Resources: rowsOf(clusterResource),
    Findings: rowsOf(clusterResource),
    Vulnerabilities: rowsOf(clusterResource),
    Misconfigurations: rowsOf(clusterResource),
  })
  .transform((all) => [...all.Resources, ...all.Findings, ...all.Vulnerabilities, ...all.Misconfigurations]);

const packageUrl = z.object({ PURL: descriptiveText });
const cause = z.object({ Resource: descriptiveText });

type Result = z.infer<typeof result>;
type Row = z.infer<typeof row>;

/** What results are about, in the form of the reports of Trivy's operator. */
interface Subject {
  /** Absent if an image or a folder was scanned, and not a Kubernetes object. */
  readonly resource?: { readonly kind: string; readonly namespace: string | undefined; readonly name: string };
  readonly artifact?: Artifact | undefined;
  readonly os?: z.infer<typeof operatingSystem>;
  readonly time?: string | null | undefined;
}

interface Artifact {
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string | undefined;
}

/** Splits a reference such as `registry:5000/shop/cart:1.2@sha256:...` into its parts. */
function imageOf(reference: string): Artifact {
  const [tagged = reference, digest] = reference.split('@');
  const colon = tagged.lastIndexOf(':');
  const hasTag = colon > tagged.lastIndexOf('/');
  return {
    repository: hasTag ? tagged.slice(0, colon) : tagged,
    ...(hasTag && { tag: tagged.slice(colon + 1) }),
    digest,
  };
}

/** A folder that was scanned as `.` has no name, so it gets that of the report's file. */
function artifactOf({ ArtifactName: name, ArtifactType: type }: z.infer<typeof scan>, file: string): Artifact {
  if (type === 'container_image') return imageOf(name);
  return { repository: name === '' || name === '.' ? file : name };
}

/** Leaves out the target of packages of the operating system: it is the image's name, and not a place in the image. */
function vulnerabilityOf(found: Row, { Target: target, Class: type }: Result) {
  return {
    vulnerabilityID: found.VulnerabilityID,
    resource: found.PkgName,
    installedVersion: found.InstalledVersion,
    fixedVersion: found.FixedVersion,
    severity: found.Severity,
    title: found.Title,
    primaryLink: found.PrimaryURL,
    links: found.References,
    packagePath: found.PkgPath,
    packagePURL: packageUrl.safeParse(found.PkgIdentifier).data?.PURL,
    class: type,
    target: type === 'os-pkgs' ? undefined : target,
  };
}

function secretOf(found: Row, { Target: target }: Result) {
  return {
    ruleID: found.RuleID,
    severity: found.Severity,
    category: found.Category,
    title: found.Title,
    target,
  };
}

function checkOf(found: Row, target: string | null | undefined) {
  return {
    checkID: found.ID ?? found.AVDID,
    severity: found.Severity,
    category: found.Type,
    title: found.Title,
    description: found.Description,
    remediation: found.Resolution,
    messages: [found.Message],
    success: found.Status === 'PASS',
    target,
    cause: cause.safeParse(found.CauseMetadata).data?.Resource,
    primaryLink: found.PrimaryURL,
    links: found.References,
  };
}

const rbacKinds: ReadonlySet<string> = new Set(['Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding']);

/** Whether a check is one of those that Trivy has for the control plane and the nodes. */
function isInfraCheck({ ID: id }: Row): boolean {
  return /^(?:AVD-)?KCV/.test(String(id));
}

function checkReports(results: readonly Result[], { resource }: Subject): Map<string, readonly object[]> {
  const rows = results.flatMap((one) => one.Misconfigurations.map((found) => ({ found, target: one.Target })));
  const kind = (found: Row): string => {
    if (isInfraCheck(found)) return 'InfraAssessmentReport';
    return resource && rbacKinds.has(resource.kind) ? 'RbacAssessmentReport' : 'ConfigAuditReport';
  };
  const byKind = Map.groupBy(rows, ({ found }) => kind(found));
  // A Kubernetes object is its own target.
  return new Map(
    [...byKind].map(([name, all]) => [
      name,
      all.map(({ found, target }) => checkOf(found, resource ? undefined : target)),
    ]),
  );
}

/** The reports that Trivy's operator would have written for these results. */
function reportsOf(results: readonly Result[], subject: Subject, name: string): ToolObject[] {
  const { resource, artifact, os, time } = subject;
  const isClusterScoped = resource !== undefined && resource.namespace === undefined;
  const report = (kind: string, rows: object): ToolObject => {
    const object = {
      apiVersion: 'aquasecurity.github.io/v1alpha1',
      kind,
      metadata: {
        name,
        ...(resource && { namespace: resource.namespace, labels: labelsOf(resource) }),
      },
      report: { updateTimestamp: time, artifact, ...rows },
    };
    return object;
  };
  const prefix = isClusterScoped ? 'Cluster' : '';
  const vulnerabilities = results.flatMap((one) => one.Vulnerabilities.map((found) => vulnerabilityOf(found, one)));
  const secrets = results.flatMap((one) => one.Secrets.map((found) => secretOf(found, one)));
  const isOutdated = os?.EOSL === true;
  const system = os && { family: os.Family, name: os.Name, eosl: os.EOSL };
  return [
    ...(vulnerabilities.length > 0 || isOutdated
      ? [report(`${prefix}VulnerabilityReport`, { os: system, vulnerabilities })]
      : []),
    ...(secrets.length > 0 ? [report('ExposedSecretReport', { secrets })] : []),
    ...[...checkReports(results, subject)].map(([kind, checks]) => report(`${prefix}${kind}`, { checks })),
  ];
}

function labelsOf({ kind, namespace = '', name }: NonNullable<Subject['resource']>): Record<string, string> {
  return {
    'trivy-operator.resource.kind': kind,
    'trivy-operator.resource.namespace': namespace,
    'trivy-operator.resource.name': name,
  };
}

function fromResource(found: z.infer<typeof clusterResource>, name: string): ToolObject[] {
  const image = found.Metadata?.flatMap(({ RepoTags: tags, RepoDigests: digests }) => [...tags, ...digests])[0];
  const subject = {
    resource: {
      kind: found.Kind === 'NodeInfo' ? 'Node' : found.Kind,
      namespace: found.Namespace || undefined,
      name: found.Name,
    },
    artifact: image === undefined ? undefined : imageOf(image),
    os: found.Metadata?.find(({ OS: os }) => os?.EOSL)?.OS,
  };
  return reportsOf(found.Results, subject, name);
}

/**
 * `trivy k8s|image|fs|repo|config --format json`.
 * https://trivy.dev/latest/docs/configuration/reporting/#json
 */
export default {
  source: 'trivy',
  command: 'trivy k8s|image|fs|config --format json',
  read([document, ...more], file) {
    if (more.length > 0) return undefined;
    const one = scan.safeParse(document);
    if (one.success) {
      const subject = { artifact: artifactOf(one.data, file), os: one.data.Metadata?.OS, time: one.data.CreatedAt };
      return reportsOf(one.data.Results, subject, file);
    }
    const cluster = clusterScan.safeParse(document);
    // The index makes names unique: a workload is listed once per image, and once more for its configuration.
    return cluster.success
      ? cluster.data.flatMap((found, index) => fromResource(found, `${file}.${index}`))
      : undefined;
  },
} satisfies ToolFile;
