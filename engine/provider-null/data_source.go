// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// nullDataSource is null_data_source: it copies inputs to outputs.
type nullDataSource struct{}

func newNullDataSource() datasource.DataSource { return nullDataSource{} }

type nullDataSourceModel struct {
	Inputs             types.Map    `tfsdk:"inputs"`
	Outputs            types.Map    `tfsdk:"outputs"`
	Random             types.String `tfsdk:"random"`
	HasComputedDefault types.String `tfsdk:"has_computed_default"`
	ID                 types.String `tfsdk:"id"`
}

func (nullDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, response *datasource.MetadataResponse) {
	response.TypeName = "null_data_source"
}

func (nullDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, response *datasource.SchemaResponse) {
	response.Schema = schema.Schema{
		MarkdownDescription: "Copies its inputs to its outputs.",
		DeprecationMessage:  "Use a local value or the terraform_data resource instead.",
		Attributes: map[string]schema.Attribute{
			"inputs": schema.MapAttribute{
				ElementType:         types.StringType,
				Optional:            true,
				MarkdownDescription: "Arbitrary strings, copied to outputs.",
			},
			"outputs": schema.MapAttribute{
				ElementType:         types.StringType,
				Computed:            true,
				MarkdownDescription: "The inputs, after the data source was read.",
			},
			"random": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "A random number, another one at each read.",
			},
			"has_computed_default": schema.StringAttribute{
				Optional:            true,
				Computed:            true,
				MarkdownDescription: "Kept when given, else a default value.",
			},
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Always `static`.",
			},
		},
	}
}

func (nullDataSource) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	var model nullDataSourceModel
	response.Diagnostics.Append(request.Config.Get(ctx, &model)...)
	if response.Diagnostics.HasError() {
		return
	}
	model.Outputs = model.Inputs
	model.Random = types.StringValue(randomID())
	if model.HasComputedDefault.IsNull() {
		model.HasComputedDefault = types.StringValue("default")
	}
	model.ID = types.StringValue("static")
	response.Diagnostics.Append(response.State.Set(ctx, &model)...)
}
