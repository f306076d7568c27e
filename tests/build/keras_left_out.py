"""Names of Keras that densa has not, and why: patterns of names as in keras_names.txt."""

# Decided: what a dense network does not use, or what densa has in another form.
LEFT_OUT = {
    "convolutions and the pooling between them": """
        layers.*Conv* layers.Separable* layers.Depthwise* layers.AveragePooling* layers.AvgPool*
        layers.MaxPool* layers.Adaptive* layers.Cropping* layers.UpSampling* layers.ZeroPadding*
        layers.Global*3D layers.SpatialDropout2D layers.SpatialDropout3D
        ops.*conv ops.*conv_transpose ops.*average_pool ops.*max_pool ops.fold ops.unfold
        ops.nn.fold ops.nn.unfold ops.*depth_to_space ops.*space_to_depth
        ops.image.extract_patches_3d""",
    "recurrent networks": """
        layers.Bidirectional layers.GRU* layers.LSTM* layers.RNN layers.SimpleRNN*
        layers.StackedRNNCells""",
    "attention, and what language models need": """
        layers.*Attention layers.ReversibleEmbedding ops.*dot_product_attention
        config.*flash_attention*""",
    "sound": """
        layers.MelSpectrogram layers.STFTSpectrogram initializers.STFT* initializers.stft ops.stft
        ops.istft ops.extract_sequences losses.CTC losses.ctc ops.*ctc_* utils.audio_dataset*""",
    "boxes and masks of images": """
        utils.bounding_boxes.* visualization.* layers.MaxNumBoundingBoxes""",
    "larger images: seven layers of augmentation are those of small ones": """
        layers.AugMix layers.AutoContrast layers.ContrastLimited* layers.CutMix layers.Equalization
        layers.MixUp layers.RandAugment layers.RandomColor* layers.RandomElastic*
        layers.RandomErasing layers.RandomGaussianBlur layers.RandomGrayscale layers.RandomHue
        layers.RandomInvert layers.RandomPerspective layers.RandomPosterization
        layers.RandomSaturation layers.RandomSharpness layers.RandomShear layers.Solarization
        layers.Pipeline ops.image.elastic_transform ops.image.gaussian_blur
        ops.image.map_coordinates ops.image.perspective_transform ops.image.scale_and_translate
        ops.image.sobel_edges ops.image.ssim""",
    "complex numbers: transforms take pairs of real ones": """
        ops.*angle ops.*conj ops.*conjugate ops.*imag ops.*isreal ops.*real ops.*polar ops.*eig
        ops.view_as_complex""",
    "reading folders, pictures and files of others, which takes Pillow or the network": """
        utils.array_to_img utils.img_to_array utils.load_img utils.save_img utils.get_file
        utils.*_dataset_from_directory preprocessing.image.*
        preprocessing.*_dataset_from_directory datasets.* saving.KerasFileEditor""",
    "quantized training: freeze(dtype='int8') measures where it pays": """
        quantizers.* Quantizer dtype_policies.AWQ* dtype_policies.GPTQ* dtype_policies.Int4*
        dtype_policies.Quantized* Model.*quantiz* Sequential.*quantiz* layers.Layer.*quantiz*
        Model.quantized_* layers.Layer.quantized_*""",
    "several machines, and other frameworks behind one API": """
        distribution.* backend.backend config.backend config.set_backend config.is_nnx_enabled
        layers.FlaxLayer layers.JaxLayer layers.TFSMLayer layers.TorchModuleWrapper
        export.ExportArchive callbacks.OrbaxCheckpoint Model.distribute_* Sequential.distribute_*
        Variable.aggregation Variable.synchronization Variable.handle
        KerasTensor.ragged* KerasTensor.row_splits_dtype KerasTensor.sparse""",
    "functions without state: densa's state lies in variables, which value_and_grad differentiates": """
        StatelessScope SymbolicScope Model.stateless_call Sequential.stateless_call
        layers.Layer.stateless_call *.symbolic_call *.get_state_tree *.set_state_tree""",
    "memory for time: plans need none of it": """
        RematScope remat *.rematerialized_call""",
    "settings of the package that arguments say better": """
        *.*interactive_logging* config.*traceback_filtering* config.enable_unsafe_deserialization
        config.*max_epochs config.*max_steps_per_epoch *.*image_data_format backend.get_uid
        dtype_policies.DTypePolicyMap *FloatDTypePolicy callbacks.RemoteMonitor""",
    "hooks that a native step leaves no place for": """
        Model.make_* Sequential.make_* Model.compiled_loss Sequential.compiled_loss
        Model.compiled_metrics Sequential.compiled_metrics *.save_own_variables
        *.load_own_variables *.add_metric *.metrics_variables""",
}

# Known gaps: what belongs here and is still to come.
NOT_YET = {
    "several optimizers: learning_rate_multipliers and frozen layers do part of it": """
        optimizers.MultiOptimizer optimizers.OptimizerMap""",
    "gradients of one's own: a hook in the tape and in recordings": "ops.custom_gradient",
    "distillation as a model of its own": "distillation.*",
    "names that Keras' own code uses more than its users": """
        Function Operation name_scope Variable.constraint Variable.regularizer
        Variable.overwrite_with_gradient *.add_variable *.path *.input_spec *.supports_masking
        layers.Layer.metrics *.max_queue_size *.use_multiprocessing *.workers""",
}
