import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { oldSubjectLabel } from '../../shared/api/labels.ts';
import { alert, toolReports } from '../cluster/upgrade-world.ts';
import { oldObservation } from '../cluster/version-0.1.0.ts';
import { observationsOf, startProgram, temporaryFolder, until } from '../host/program.ts';
import { oldDatabase } from '../stores/database-0.1.0.ts';

describe('local mode', () => {
  it('takes over a data folder of version 0.1.0', async () => {
    const objects = temporaryFolder();
    const all = toolReports();
    const reports = ['trivy', 'kyverno', 'checkov'].flatMap((name) => all.find(({ source }) => source === name) ?? []);
    for (const [index, { object }] of reports.entries()) {
      writeFileSync(join(objects, `${index}.json`), JSON.stringify(object));
    }
    const event = oldObservation(alert(40_000).old, Date.now());
    const old = reports.flatMap((report) => report.old).map((finding) => oldObservation(finding, Date.now()));
    const data = oldDatabase([...old, event], Date.now());
    const program = await startProgram({ args: ['--port', '0', '--objects', objects, '--data', data] });
    await until('nothing that version 0.1.0 said of a state is left', async () => {
      const shown = await observationsOf(program.url);
      return shown.every(({ metadata }) => metadata.labels[oldSubjectLabel] === undefined);
    });
    const shown = await observationsOf(program.url);
    expect(shown).toHaveLength(old.length + 1);
    const withoutRule = shown.filter(({ spec }) => spec.rule === undefined);
    expect(withoutRule.map(({ metadata }) => metadata.name)).toEqual([event.metadata.name]);
    await program.stop();
  });
});
