import * as z from 'zod';

const alertsSchema = z.array(
  z.object({
    labels: z.record(z.string(), z.string()),
    startsAt: z.iso.datetime().optional(),
    endsAt: z.iso.datetime(),
  }),
);

interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly startsAt: number;
  readonly endsAt: number;
}

/** One that has no beginning begins with its end: https://github.com/prometheus/alertmanager/blob/v0.25.0/api/v2/api.go */
function alertOf({ labels, startsAt, endsAt }: z.infer<typeof alertsSchema>[number]): Alert {
  const end = Date.parse(endsAt);
  return { labels, startsAt: startsAt === undefined ? end : Date.parse(startsAt), endsAt: end };
}

/** https://github.com/prometheus/alertmanager/blob/v0.25.0/types/types.go: the younger alert, and what it keeps of the older. */
function merged(older: Alert, younger: Alert, now: number): Alert {
  const startsAt = Math.min(older.startsAt, younger.startsAt);
  const isOver = younger.endsAt <= now;
  const keepsEnd = older.endsAt > younger.endsAt && (!isOver || older.endsAt <= now);
  return { ...younger, startsAt, endsAt: keepsEnd ? older.endsAt : younger.endsAt };
}

function overlaps(older: Alert, younger: Alert): boolean {
  const isIn = (time: number): boolean => time > older.startsAt && time < older.endsAt;
  return isIn(younger.endsAt) || isIn(younger.startsAt);
}

/** What Alertmanager makes of what is posted to it; the real one is in tests/local/alertmanager.test.ts. */
export function createAlertModel(now: () => number) {
  const alerts = new Map<string, Alert>();
  return {
    post(body: string): void {
      for (const posted of alertsSchema.parse(JSON.parse(body))) {
        const alert = alertOf(posted);
        if (alert.endsAt < alert.startsAt) throw new Error('start time must be before end time');
        const key = JSON.stringify(Object.entries(alert.labels).sort());
        const older = alerts.get(key);
        alerts.set(key, older && overlaps(older, alert) ? merged(older, alert, now()) : alert);
      }
    },
    /** What is active now, by our mark and the severity. */
    active(): Set<string> {
      const found = [...alerts.values()].filter(({ endsAt }) => endsAt > now());
      return new Set(found.map(({ labels }) => `${labels.zen_kube_zen_io_observation} ${labels.severity}`));
    },
    /** As if it were killed, with what it had not kept. */
    forget: () => alerts.clear(),
  };
}
