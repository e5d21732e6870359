// A dashboard as Grafana's schema has it, with the options of the kinds of panels that ours have: the compiler refuses what is
// missing, misspelt or of another type. `check.py` puts the files behind this.
import type { AnnotationQuery, Dashboard, DashboardLink, FieldConfig, Panel, RowPanel, VariableModel } from "@grafana/schema";
import type * as heatmap from "@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as states from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as lines from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

/** As JSON has it: an enum is its values. */
type Json<T> = T extends string
  ? `${T}`
  : T extends Array<infer Item>
    ? Array<Json<Item>>
    : T extends object
      ? { [Key in keyof T]: Json<T[Key]> }
      : T;

/** What the data source for Prometheus takes; it is not part of the schema. */
interface Query {
  refId: string;
  datasource: { type: "prometheus"; uid: string };
  expr: string;
  legendFormat: string;
  range: boolean;
  instant: boolean;
  editorMode: "code";
  format?: "heatmap" | "table";
}

type Shown<Kind extends string, Options, Custom> = Json<
  Required<Pick<Panel, "id" | "title" | "description" | "gridPos" | "datasource">>
> & {
  type: Kind;
  options: Json<Options>;
  fieldConfig: {
    defaults: Json<Omit<FieldConfig, "custom">> & { custom: Json<Custom> };
    overrides: Array<{ matcher: { id: string; options: unknown }; properties: Array<{ id: string; value: unknown }> }>;
  };
  links: Array<Required<Pick<DashboardLink, "title" | "url" | "targetBlank">>>;
  targets: Query[];
  transformations?: Array<{ id: string; options: unknown }>;
};

/** The schema has it that each kind of panel knows colours, of which some depend on the kind. */
type OurPanel =
  | Shown<"timeseries", lines.Options, lines.FieldConfig>
  | Shown<"stat", stat.Options, Record<string, never>>
  | Shown<"state-timeline", states.Options, states.FieldConfig>
  | Shown<"heatmap", heatmap.Options, heatmap.FieldConfig>
  | Shown<"table", table.Options, table.FieldConfig>
  | (Json<Required<Pick<RowPanel, "id" | "title" | "gridPos" | "collapsed">>> & { type: "row"; panels: never[] });

export type Ours = Json<Required<Pick<Dashboard, "uid" | "title" | "description" | "tags" | "schemaVersion" | "links">>> &
  Json<Omit<Dashboard, "panels" | "annotations" | "templating">> & {
    panels: OurPanel[];
    annotations: {
      list: Array<
        Json<Omit<AnnotationQuery, "target">> & {
          target: Query;
          titleFormat: string;
          useValueForTime: "on";
        }
      >;
    };
    templating: { list: Array<Json<VariableModel> & { definition?: string }> };
  };
